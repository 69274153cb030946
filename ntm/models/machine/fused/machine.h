// A machine of controller, heads and output layer, and what a run of it is of.
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
    // Ticks of whose memories the first one is kept: to keep every one takes longer than to write it again, for it is large and new.
    static constexpr int STRETCH = 4;
    const Sizes sizes;
    Record record;
    Parameters<T> parameters;
    std::unique_ptr<Controller<L>> controller;
    std::unique_ptr<Heads<L>> heads;
    std::deque<Layer<L>> output;
    std::vector<const Layer<L>*> layers;
    std::vector<Span> state;
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
        state.push_back({Span::apart, heads->memory()});
        state.push_back(looks());
        state.push_back({record.reads, reads});
        if (s.outputs) output.emplace_back(parameters, record, int(s.outputs), hidden + reads, record.hidden);
        for (const std::deque<Layer<L>>* some : {&std::as_const(controller->layers), &std::as_const(heads->layers), &std::as_const(output)})
            for (const Layer<L>& layer : *some) layers.push_back(&layer);
        record.size = (record.size + Block<L>::beyond) | 1, record.gradients |= 1;  // an even stride would use few of a cache's sets
    }
    Span looks() const { return {heads->weights, heads->heads * heads->slots}; }  // the heads' weights
    int said() const { return sizes.outputs ? int(sizes.outputs + sizes.blur) : hidden + reads; }
    int segment() const { return int(std::min(sizes.segment, sizes.ticks)); }
    int segments() const { return int((sizes.ticks + segment() - 1) / segment()); }
    int chunks() const { return int((sizes.batch + L::rows - 1) / L::rows); }
    // Lanes of a state: what is at the end of a record, and memory.
    size_t state_size() const { return record.size - record.state + heads->memory(); }
    // Where the memory at the beginning of tick n's stretch is kept: behind the records of a segment, of which n counts the ticks.
    size_t stretch(int64_t n) const { return (segment() + 1) * size_t(record.size) + n / STRETCH * size_t(heads->memory()); }
    // Lanes that are kept of a segment, and of a chunk: all of its only segment, or the states that segments begin with.
    size_t kept_of_segment() const { return stretch(segment() - 1) + heads->memory(); }
    size_t kept() const { return segments() == 1 ? kept_of_segment() : segments() * state_size(); }
};
