// What controllers and heads have in common: a tick's record, linear layers that know their place in it, and the controllers' interface.
#pragma once
#include <deque>

#include "products.h"

// Where things are in a tick's record, counted in lanes. What the tick hands to the next one, its state, is at the end,
// but for memory, which is kept apart.
struct Record {
    int size = 0, gradients = 0;  // of a record, and of what the layers' outputs have as gradients
    int given = 0;                // the controller's inputs: x, then what was read a tick before
    int inputs = 0;               // of them x
    int hidden = 0, reads = 0;    // what the controller says, and right behind it what is read
    int state = 0;                // where the state begins

    int take(int lanes) {
        size += lanes;
        return size - lanes;
    }
};

// Weights and biases in the order of the machine's parameters, and where their gradients go; null where none are asked for.
template <class T>
struct Parameters {
    const T* const* values;
    bool gradients;
    int next = 0;
    std::vector<size_t> places;  // where each one's gradient begins, in numbers
    size_t total = 0;

    Parameters(const T* const* values, bool gradients) : values(values), gradients(gradients) {}
    const T* take(size_t numbers) {
        places.push_back(total);
        total += numbers;
        return values ? values[next++] : nullptr;
    }
};

// A linear layer: what it is given is in the record of its tick, or of the tick before.
template <class L>
struct Layer {
    using T = typename L::Number;
    Linear<L> linear;
    int x, dy;
    bool earlier;
    size_t dw, db;

    static Linear<L> made(Parameters<T>& from, int n, int k) {
        const T* w = from.take(size_t(n) * k);
        return Linear<L>(w, from.take(n), n, k, from.gradients);
    }
    Layer(Parameters<T>& from, Record& record, int n, int k, int x, bool earlier = false, int same_dy = -1)
        : linear(made(from, n, k)), x(x), dy(same_dy), earlier(earlier) {
        dw = from.places[from.places.size() - 2], db = from.places.back();
        if (dy < 0) dy = record.gradients, record.gradients += n;
    }
    // Of `ticks` ticks after the record `before`.
    void gather(const Record& record, const L* before, const L* gradients, int ticks, T* to) const {
        weight_gradients(gradients + dy, record.gradients, linear.outputs, before + x + (earlier ? 0 : record.size), record.size,
                         linear.inputs, ticks, to + dw, to + db);
    }
};

// A tick goes from the record `before` to the record `after`. Its way back turns `ds`, the gradient of the state after it, into that
// of the state before it; `dy` takes the gradients of what its layers made. Constant, so that threads may share them.
template <class L>
struct Part {
    std::deque<Layer<L>> layers;
    virtual ~Part() = default;
};

// A part of a state: so many lanes from `at` on in a record; `apart`: not in it, which only memory is.
struct Span {
    static constexpr int apart = -1;
    int at, lanes;

    template <class L>
    L* in(L* record, L* memory) const {
        return at == apart ? memory : record + at;
    }
};

template <class L>
struct Controller : Part<L> {
    std::vector<Span> state;  // its own, in the order of controllers.py

    // Called when everything else of a tick has its place: what it says is right before what is read, and its state beside that.
    virtual void place(Record& record, int reads) = 0;
    // `noise` may be null.
    virtual void tick(const L* before, L* after, const L* noise) const = 0;
    // From dhidden, the gradient of what it says, which is used up; adds to `dgiven`.
    virtual void back(const L* before, const L* after, L* ds, L* dhidden, L* dy, L* dgiven) const = 0;
};

// A number in 0..1 drawn to 0 or 1 by so much, as rounding.py's; what is none stays none.
template <class L>
static inline L to_bits(L value, typename L::Number rounding) {
    using T = typename L::Number;
    return value + L(rounding) * (where_at_most(value, T(0.5), L(T(0)), L(T(1))) - value);
}
// f(at, size) for as many as there are in blocks whose sums stay in registers, `size` a constant, so that a block's loops are none. Of
// plain numbers the compiler fills registers itself.
template <class L, int most = (L::wide == 1 ? REGISTER / int(sizeof(typename L::Number)) : 4), class F>
static inline __attribute__((always_inline)) void in_blocks(int many, F f, int at = 0) {
    for (; at + most <= many; at += most) f(at, std::integral_constant<int, most>());
    if constexpr (most > 1) in_blocks<L, most / 2>(many, f, at);
}
template <class L>
static inline void clear(L* at, int lanes) {
    for (int i = 0; i < lanes; i++) at[i] = L(0);
}
template <class L>
static inline void copy(const L* from, L* to, int lanes) {
    for (int i = 0; i < lanes; i++) to[i] = from[i];
}
template <class L>
static inline void add(const L* from, L* to, int lanes) {
    for (int i = 0; i < lanes; i++) to[i] += from[i];
}
