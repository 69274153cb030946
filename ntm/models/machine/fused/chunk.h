// Some rows of a batch through all ticks of a machine, forth and back.
#pragma once
#include "machine.h"

// Some rows of a batch in lanes; lanes without a row of their own have the first one's numbers, and no gradient. It lasts as long as
// the longest of its rows: beyond, nothing is said.
template <class L>
struct Chunk {
    using T = typename L::Number;
    static constexpr size_t NEAR = 64;  // lanes that stay in the first cache until all rows had their turn
    const Machine<L>& machine;
    const Arrays<T>& arrays;
    int64_t rows, ticks, row[L::rows];
    std::vector<L> home, scratch, noise, buffer;

    Chunk(const Machine<L>& m, const Arrays<T>& a, int64_t number)
        : machine(m), arrays(a), rows(std::min<int64_t>(L::rows, m.sizes.batch - number * L::rows)), ticks(m.sizes.ticks),
          home(m.looks().lanes), scratch(m.heads->scratch), noise(m.noise), buffer(m.said()) {
        for (int r = 0; r < L::rows; r++) {
            const int64_t place = number * L::rows + (r < rows ? r : 0);
            row[r] = m.sizes.order ? m.sizes.order[place] : place;
            if (m.sizes.lengths) ticks = r ? std::max(ticks, m.sizes.lengths[row[r]]) : m.sizes.lengths[row[r]];
        }
        gather(arrays.home, home.size(), 0, home.data(), home.size());
    }
    // Lanes that are set before they are read: to clear what is large takes as long as to use it.
    static std::unique_ptr<L[]> unset(size_t lanes) { return std::unique_ptr<L[]>(new L[lanes]); }
    void gather(const T* from, size_t size, size_t offset, L* to, size_t lanes) const {
        for (size_t first = 0; first < lanes; first += NEAR)
            for (int r = 0; r < L::rows; r++) {
                const T* numbers = from + row[r] * size + offset;
                for (size_t i = first; i < first + NEAR && i < lanes; i++) to[i].numbers()[r] = numbers[i];
            }
    }
    void gather_gradient(const T* from, size_t size, size_t offset, L* to, size_t lanes) const {
        for (size_t i = 0; i < lanes; i++) to[i] = L(0);
        for (int r = 0; r < rows; r++)
            for (size_t i = 0; i < lanes; i++) to[i].numbers()[r] = from[row[r] * size + offset + i];
    }
    void scatter(const L* from, size_t lanes, T* to, size_t size, size_t offset) const {
        for (size_t first = 0; first < lanes; first += NEAR)
            for (int r = 0; r < rows; r++)
                for (size_t i = first; i < first + NEAR && i < lanes; i++) to[row[r] * size + offset + i] = from[i].numbers()[r];
    }
    // Zeros at the ticks that are not run, of numbers [B T size].
    void silence(T* to, size_t size) const {
        const size_t all = machine.sizes.ticks * size;
        for (int r = 0; r < rows; r++) std::fill(to + row[r] * all + ticks * size, to + (row[r] + 1) * all, T(0));
    }
    void begin(L* to, L* memory) const {
        for (size_t p = 0; p < machine.state.size(); p++) {
            const Span& span = machine.state[p];
            gather(arrays.first[p], span.lanes, 0, span.in(to, memory), span.lanes);
        }
        machine.heads->begin(to, memory);
    }
    void tick(int64_t t, const L* before, L* after, L* memory) {
        const Record& record = machine.record;
        const int inputs = record.inputs;
        gather(arrays.x, machine.sizes.ticks * inputs, t * inputs, after + record.given, inputs);
        if (arrays.noise) gather(arrays.noise, machine.sizes.ticks * machine.noise, t * machine.noise, noise.data(), machine.noise);
        copy(before + record.reads, after + record.given + inputs, machine.reads);
        machine.controller->tick(before, after, arrays.noise ? noise.data() : nullptr);
        machine.heads->tick(before, after, memory, home.data(), arrays.noise ? noise.data() + machine.bits : nullptr, scratch.data());
    }
    void say(int64_t t, const L* after) {
        const L* said = after + machine.record.hidden;
        if (!machine.output.empty()) machine.output[0].linear.apply(said, buffer.data()), said = buffer.data();
        if (machine.sizes.blur) {  // machine.py's
            const L* weights = after + machine.looks().at;
            L sum(T(0));
            for (int i = 0; i < machine.looks().lanes; i++) sum += weights[i] * weights[i];
            buffer.back() = T(1) - (T(1) / machine.heads->heads) * sum;
        }
        scatter(said, machine.said(), arrays.said, machine.sizes.ticks * machine.said(), t * machine.said());
    }
    // A tick, the n-th of a segment, into the segment's records, and what else is kept of it.
    void tick_and_keep(int64_t t, int64_t n, L* records, L* memory) {
        if (n % Machine<L>::STRETCH == 0) copy(memory, records + machine.stretch(n), machine.heads->memory());
        L* before = records + n * machine.record.size;
        tick(t, before, before + machine.record.size, memory);
    }
    // All ticks; what the way back needs goes to `kept`, null where there is none.
    void forth(L* kept) {
        const Record& record = machine.record;
        const bool whole = kept && machine.segments() == 1;
        std::vector<L> two(whole ? 0 : 2 * size_t(record.size)), memory(machine.heads->memory());
        L *before = whole ? kept : two.data(), *after = before + record.size;
        begin(before, memory.data());
        silence(arrays.said, machine.said());
        for (int64_t t = 0; t < ticks; t++) {
            if (kept && !whole && t % machine.segment() == 0) {
                L* state = kept + t / machine.segment() * machine.state_size();
                copy(before + record.state, state, record.size - record.state);
                copy(memory.data(), state + record.size - record.state, machine.heads->memory());
            }
            whole ? tick_and_keep(t, t, kept, memory.data()) : tick(t, before, after, memory.data());
            say(t, after);
            if (whole)
                before = after, after += record.size;
            else
                std::swap(before, after);
        }
        for (size_t p = 0; p < machine.state.size(); p++) {
            const Span& span = machine.state[p];
            scatter(span.in(before, memory.data()), span.lanes, arrays.last[p], span.lanes, 0);
        }
    }
    void back(const L* kept, T* dweights) {
        const Record& record = machine.record;
        const int many = int(machine.state.size()), longest = machine.segment(), size = machine.heads->memory();
        std::vector<L> ds(record.size), dmemory(size), dhome(home.size());
        std::vector<L> dhidden(machine.hidden + machine.reads), dgiven(record.inputs + machine.reads + machine.bits);
        const auto again = unset(machine.segments() == 1 ? 0 : machine.kept_of_segment());
        const auto dy = unset(size_t(Machine<L>::WINDOW) * record.gradients + Block<L>::beyond);
        const auto memories = unset(size_t(Machine<L>::STRETCH) * size);  // after each tick of a stretch
        for (int p = 0; p < many; p++) {
            const Span& span = machine.state[p];
            if (arrays.dlast[p]) gather_gradient(arrays.dlast[p], span.lanes, 0, span.in(ds.data(), dmemory.data()), span.lanes);
        }
        if (arrays.dx) silence(arrays.dx, record.inputs);
        for (int64_t s = machine.segments() - 1; s >= 0; s--) {
            const int64_t start = s * longest, end = std::min<int64_t>(start + longest, ticks);
            if (start >= end) continue;
            const L* records = kept;
            if (machine.segments() > 1) {
                const L* state = kept + s * machine.state_size();
                copy(state, again.get() + record.state, record.size - record.state);
                copy(state + record.size - record.state, memories.get(), size);
                for (int64_t t = start; t < end; t++) tick_and_keep(t, t - start, again.get(), memories.get());
                records = again.get();
            }
            int waiting = 0;  // in `dy`, the latest tick's first
            for (int64_t t = end - 1; t >= start; t--) {
                const int n = int(t - start), within = n % Machine<L>::STRETCH;
                const L *before = records + n * size_t(record.size), *begun = records + machine.stretch(n);
                if (t == end - 1 || within == Machine<L>::STRETCH - 1)
                    write_again(before - within * size_t(record.size), begun, within + machine.heads->both, memories.get());
                const L *fresh = memories.get() + within * size_t(size), *old = within ? fresh - size : begun;
                L* made = dy.get() + (Machine<L>::WINDOW - ++waiting) * size_t(record.gradients);
                back_a_tick(t, before, old, fresh, ds.data(), dmemory.data(), dhidden.data(), made, dgiven.data(), dhome.data());
                if (waiting < Machine<L>::WINDOW && t > start) continue;
                for (const Layer<L>* layer : machine.layers) layer->gather(record, before, made, waiting, dweights);
                waiting = 0;
            }
        }
        for (int p = 0; p < many; p++) {
            const Span& span = machine.state[p];
            if (arrays.dfirst[p]) scatter(span.in(ds.data(), dmemory.data()), span.lanes, arrays.dfirst[p], span.lanes, 0);
        }
        if (arrays.dhome) scatter(dhome.data(), home.size(), arrays.dhome, home.size(), 0);
    }
    // The memories after so many ticks from the record `before` on, from the one that they begin with.
    void write_again(const L* before, const L* old, int many, L* memories) const {
        for (int n = 0; n < many; n++, before += machine.record.size) {
            machine.heads->write(before, before + machine.record.size, old, memories);
            old = memories, memories += machine.heads->memory();
        }
    }
    void back_a_tick(int64_t t, const L* before, const L* old, const L* fresh, L* ds, L* dmemory, L* dhidden, L* dy, L* dgiven,
                     L* dhome) {
        const Record& record = machine.record;
        const L* after = before + record.size;
        const int reads = machine.reads, inputs = record.inputs, said = machine.said();
        clear(dhidden, machine.hidden + reads);
        L* to = machine.output.empty() ? dhidden : buffer.data();
        if (arrays.dsaid)
            gather_gradient(arrays.dsaid, machine.sizes.ticks * said, t * said, to, said);
        else
            clear(to, said);
        if (!machine.output.empty()) {
            const Layer<L>& output = machine.output[0];
            copy(to, dy + output.dy, output.linear.outputs);
            output.linear.back_and_add(to, dhidden);
        }
        if (machine.sizes.blur) {
            const L d = T(-2) / machine.heads->heads * to[said - 1], *weights = after + machine.looks().at;
            L* dweights = ds + machine.looks().at;
            for (int i = 0; i < machine.looks().lanes; i++) dweights[i] += d * weights[i];
        }
        add(dhidden + machine.hidden, ds + record.reads, reads);
        clear(dgiven, inputs + reads + machine.bits);
        machine.heads->back(before, after, old, fresh, home.data(), ds, dmemory, dhidden, dy, dgiven, dhome, scratch.data());
        machine.controller->back(before, after, ds, dhidden, dy, dgiven);
        copy(dgiven + inputs, ds + record.reads, reads);
        if (arrays.dx) scatter(dgiven, inputs, arrays.dx, machine.sizes.ticks * inputs, t * inputs);
    }
};
