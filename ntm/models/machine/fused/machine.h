// A machine of controller, heads and output layer, one chunk of rows at a time through all ticks, forth and back.
#pragma once
#include <algorithm>
#include <memory>
#include <utility>

#include "controllers.h"
#include "ntm_heads.h"
#include "tape_heads.h"

// What library.py hands over; every array is in torch's order, its last index the fastest.
struct Sizes {
    int64_t batch, ticks, inputs, outputs, slots, slot_width, moves;  // outputs 0: hidden and reads are what comes out
    int64_t lstm, layers, bits;                                       // an LSTM of so many layers, or layers and a register
    int64_t tape, readers, writers, separate, seen, flags;            // of tape heads, `readers` is how many there are
    int64_t blur;                                                     // 1: beside the outputs comes out how blurred heads are
    double rounding;                                                  // how far values are drawn to bits
    int64_t segment, threads;                                         // ticks whose records are kept at once
    const int64_t *hidden, *window, *control;
    const int64_t *order, *lengths;  // rows as they go into chunks, and how long each one lasts; null: as they are, all ticks
};
template <class T>
struct Arrays {
    const T *x, *noise;                             // [B T I], [B T K] or null
    const T *const *weights, *const *first, *home;  // first: the state's parts
    T *said, *const *last, *kept;
    const T *dsaid, *const *dlast;  // any of them may be null
    T *dx, *const *dfirst, *dhome, *dweights;
};

template <class L>
struct Machine {
    using T = typename L::Number;
    static constexpr int WINDOW = 32;  // ticks whose gradients wait to be gathered
    const Sizes sizes;
    Record record;
    Parameters<T> parameters;
    std::unique_ptr<Controller<L>> controller;
    std::unique_ptr<Heads<L>> heads;
    std::deque<Layer<L>> output;
    std::vector<const Layer<L>*> layers;
    std::vector<Span> state;
    size_t lined_up = 0;  // lanes that gathering gradients takes
    int reads, hidden, bits, noise;

    Machine(const Sizes& s, const T* const* weights, bool gradients) : sizes(s), parameters(weights, gradients) {
        std::vector<int> widths(s.hidden, s.hidden + s.layers), window(s.window, s.window + s.seen), control(s.control, s.control + s.flags);
        hidden = widths.back(), bits = int(s.bits), record.inputs = int(s.inputs);
        const int slots = int(s.slots), width = int(s.slot_width), moves = int(s.moves), readers = int(s.readers), writers = int(s.writers);
        reads = readers * width * (s.tape ? int(s.seen) : 1);
        if (s.lstm)
            controller.reset(new LSTM<L>(record, parameters, int(s.layers), hidden, reads));
        else
            controller.reset(new FeedForward<L>(record, parameters, widths, reads, bits, T(s.rounding)));
        if (s.tape)
            heads.reset(new TapeHeads<L>(record, parameters, slots, width, moves, readers, s.separate, window, control, hidden, T(s.rounding)));
        else
            heads.reset(new NTMHeads<L>(record, parameters, slots, width, moves, readers, writers, hidden));
        controller->place(record, reads);
        heads->place(record);
        noise = bits + heads->noise;
        state = controller->state;
        state.push_back({heads->memory, slots * heads->channels});
        state.push_back(looks());
        state.push_back({record.reads, reads});
        if (s.outputs) output.emplace_back(parameters, record, int(s.outputs), hidden + reads, record.hidden);
        for (const std::deque<Layer<L>>* some : {&std::as_const(controller->layers), &std::as_const(heads->layers), &std::as_const(output)})
            for (const Layer<L>& layer : *some) layers.push_back(&layer), lined_up = std::max(lined_up, layer.scratch(WINDOW));
        record.size |= 1, record.gradients |= 1;  // an even stride would use few of a cache's sets
    }
    Span looks() const { return {heads->weights, heads->heads * heads->slots}; }  // the heads' weights
    size_t state_size() const { return record.size - record.state; }
    int said() const { return sizes.outputs ? int(sizes.outputs + sizes.blur) : hidden + reads; }
    int segment() const { return int(std::min(sizes.segment, sizes.ticks)); }
    int segments() const { return int((sizes.ticks + segment() - 1) / segment()); }
    int chunks() const { return int((sizes.batch + L::rows - 1) / L::rows); }
    // Lanes that are kept of a chunk: every record, or the state at the beginning of every segment.
    size_t kept() const { return segments() == 1 ? (sizes.ticks + 1) * size_t(record.size) : segments() * state_size(); }

};

// Some rows of a batch in lanes; lanes without a row of their own have the first one's numbers, and no gradient. It lasts as long as
// the longest of its rows: beyond, nothing is said.
template <class L>
struct Chunk {
    using T = typename L::Number;
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
    void gather(const T* from, size_t size, size_t offset, L* to, size_t lanes) const {
        for (int r = 0; r < L::rows; r++) {
            const T* numbers = from + row[r] * size + offset;
            for (size_t i = 0; i < lanes; i++) to[i].numbers()[r] = numbers[i];
        }
    }
    void gather_gradient(const T* from, size_t size, size_t offset, L* to, size_t lanes) const {
        for (size_t i = 0; i < lanes; i++) to[i] = L(0);
        for (int r = 0; r < rows; r++)
            for (size_t i = 0; i < lanes; i++) to[i].numbers()[r] = from[row[r] * size + offset + i];
    }
    void scatter(const L* from, size_t lanes, T* to, size_t size, size_t offset) const {
        for (int r = 0; r < rows; r++)
            for (size_t i = 0; i < lanes; i++) to[row[r] * size + offset + i] = from[i].numbers()[r];
    }
    // Zeros at the ticks that are not run, of numbers [B T size].
    void silence(T* to, size_t size) const {
        const size_t all = machine.sizes.ticks * size;
        for (int r = 0; r < rows; r++) std::fill(to + row[r] * all + ticks * size, to + (row[r] + 1) * all, T(0));
    }
    void begin(L* to) const {
        for (size_t p = 0; p < machine.state.size(); p++) {
            const Span& span = machine.state[p];
            gather(arrays.first[p], span.lanes, 0, to + span.at, span.lanes);
        }
        machine.heads->begin(to);
    }
    void tick(int64_t t, const L* before, L* after) {
        const Record& record = machine.record;
        const int inputs = record.inputs;
        gather(arrays.x, machine.sizes.ticks * inputs, t * inputs, after + record.given, inputs);
        if (arrays.noise) gather(arrays.noise, machine.sizes.ticks * machine.noise, t * machine.noise, noise.data(), machine.noise);
        copy(before + record.reads, after + record.given + inputs, machine.reads);
        machine.controller->tick(before, after, arrays.noise ? noise.data() : nullptr);
        machine.heads->tick(before, after, home.data(), arrays.noise ? noise.data() + machine.bits : nullptr, scratch.data());
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
    // All ticks; what the way back needs goes to `kept`, null where there is none.
    void forth(L* kept) {
        const Record& record = machine.record;
        const bool whole = kept && machine.segments() == 1;
        std::vector<L> two(whole ? 0 : 2 * size_t(record.size));
        L *before = whole ? kept : two.data(), *after = before + record.size;
        begin(before);
        silence(arrays.said, machine.said());
        for (int64_t t = 0; t < ticks; t++) {
            if (kept && !whole && t % machine.segment() == 0)
                copy(before + record.state, kept + t / machine.segment() * machine.state_size(), int(machine.state_size()));
            tick(t, before, after);
            say(t, after);
            if (whole)
                before = after, after += record.size;
            else
                std::swap(before, after);
        }
        for (size_t p = 0; p < machine.state.size(); p++) {
            const Span& span = machine.state[p];
            scatter(before + span.at, span.lanes, arrays.last[p], span.lanes, 0);
        }
    }
    void back(const L* kept, T* dweights) {
        const Record& record = machine.record;
        const int many = int(machine.state.size()), longest = machine.segment();
        std::vector<L> again(machine.segments() == 1 ? 0 : (longest + 1) * size_t(record.size)), ds(record.size), dhome(home.size());
        std::vector<L> dhidden(machine.hidden + machine.reads), dgiven(record.inputs + machine.reads + machine.bits);
        std::vector<L> dy(size_t(Machine<L>::WINDOW) * record.gradients), lined_up(machine.lined_up);
        for (int p = 0; p < many; p++) {
            const Span& span = machine.state[p];
            if (arrays.dlast[p]) gather_gradient(arrays.dlast[p], span.lanes, 0, ds.data() + span.at, span.lanes);
        }
        if (arrays.dx) silence(arrays.dx, record.inputs);
        for (int64_t s = machine.segments() - 1; s >= 0; s--) {
            const int64_t start = s * longest, end = std::min<int64_t>(start + longest, ticks);
            if (start >= end) continue;
            const L* records = kept;
            if (!again.empty()) {
                copy(kept + s * machine.state_size(), again.data() + record.state, int(machine.state_size()));
                for (int64_t t = start; t < end; t++)
                    tick(t, again.data() + (t - start) * record.size, again.data() + (t - start + 1) * record.size);
                records = again.data();
            }
            int waiting = 0;  // in `dy`, the latest tick's first
            for (int64_t t = end - 1; t >= start; t--) {
                const L* before = records + (t - start) * record.size;
                L* made = dy.data() + (Machine<L>::WINDOW - ++waiting) * size_t(record.gradients);
                back_a_tick(t, before, before + record.size, ds.data(), dhidden.data(), made, dgiven.data(), dhome.data());
                if (waiting < Machine<L>::WINDOW && t > start) continue;
                for (const Layer<L>* layer : machine.layers)
                    layer->gather(record, before + record.size, made, waiting, dweights, lined_up.data());
                waiting = 0;
            }
        }
        for (int p = 0; p < many; p++) {
            const Span& span = machine.state[p];
            if (arrays.dfirst[p]) scatter(ds.data() + span.at, span.lanes, arrays.dfirst[p], span.lanes, 0);
        }
        if (arrays.dhome) scatter(dhome.data(), home.size(), arrays.dhome, home.size(), 0);
    }
    void back_a_tick(int64_t t, const L* before, const L* after, L* ds, L* dhidden, L* dy, L* dgiven, L* dhome) {
        const Record& record = machine.record;
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
        machine.heads->back(before, after, home.data(), ds, dhidden, dy, dgiven, dhome, scratch.data());
        machine.controller->back(before, after, ds, dhidden, dy, dgiven);
        copy(dgiven + inputs, ds + record.reads, reads);
        if (arrays.dx) scatter(dgiven, inputs, arrays.dx, machine.sizes.ticks * inputs, t * inputs);
    }
};
