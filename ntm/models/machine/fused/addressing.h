// How a head moves, forth and back: interpolate, shift, sharpen (addressing.py; Graves et al. 2014, equations 7-9).
#pragma once
#include "parts.h"

template <class T>
constexpr T WEIGHT_EPSILON = T(1e-12);
template <class T>
constexpr T CLIP = T(20);

// The gradient of a number that was held within +-CLIP, as hardtanh's: none at the limits, and on where it is not a number.
template <class L>
static inline L unclipped(L raw, L d) {
    using T = typename L::Number;
    return where_at_least(raw, CLIP<T>, L(T(0)), where_at_most(raw, -CLIP<T>, L(T(0)), d));
}

// y = softmax(x) over `many`; in place allowed.
template <class L>
static inline void softmax(const L* x, L* y, int many) {
    L most = x[0], sum(0);
    for (int i = 1; i < many; i++) most = larger(most, x[i]);
    for (int i = 0; i < many; i++) sum += y[i] = exponential(x[i] - most);
    const L scale = L(1) / sum;
    for (int i = 0; i < many; i++) y[i] *= scale;
}

// Where a head looks next. `moves` is the width S of the shift; arrays of N slots.
template <class L>
struct Move {
    using T = typename L::Number;
    int slots, moves;

    // f(to, from, k, many): from slots `from` on `many` slots go to `to` on, by the move k; twice a move, for slots are a ring.
    template <class F>
    void each(F f) const {
        for (int k = 0; k < moves; k++) {
            const int by = (((k - moves / 2) % slots) + slots) % slots;
            f(by, 0, k, slots - by);
            f(0, slots - by, k, by);
        }
    }
    void blend(const L* candidate, const L* previous, L gate, L* blended) const {
        const L rest = T(1) - gate;
        for (int n = 0; n < slots; n++) {  // as torch.lerp: a gate of 1 leaves the candidate as it is
            const L step = candidate[n] - previous[n];
            blended[n] = where_below(gate, T(0.5), previous[n] + gate * step, candidate[n] - rest * step);
        }
    }
    // `shifted` is kept for the way back; `scratch` has N.
    void forth(const L* candidate, const L* previous, L gate, const L* shift, L sharpening, L* shifted, L* weights, L* scratch) const {
        blend(candidate, previous, gate, scratch);
        clear(shifted, slots);
        each([&](int to, int from, int k, int many) {
            const L part = shift[k];
            for (int n = 0; n < many; n++) shifted[to + n] += part * scratch[from + n];
        });
        for (int n = 0; n < slots; n++) weights[n] = sharpening * logarithm(at_least(shifted[n], WEIGHT_EPSILON<T>));
        softmax(weights, weights, slots);
    }
    // Adds to dcandidate and to dshift; sets dprevious, dgate and dsharpening. `dweights` and dprevious may be the same; 2 N of scratch.
    void back(const L* candidate, const L* previous, L gate, const L* shift, L sharpening, const L* shifted, const L* weights,
              const L* dweights, L* dcandidate, L* dprevious, L& dgate, L* dshift, L& dsharpening, L* scratch) const {
        L *blended = scratch, *d = scratch + slots, dot(T(0)), dpower(T(0)), dblend(T(0));
        for (int n = 0; n < slots; n++) dot += weights[n] * dweights[n];
        for (int n = 0; n < slots; n++) {
            const L held = at_least(shifted[n], WEIGHT_EPSILON<T>), dlog = weights[n] * (dweights[n] - dot);
            dpower += dlog * logarithm(held);
            d[n] = where_at_most(shifted[n], WEIGHT_EPSILON<T>, L(T(0)), sharpening * dlog / held);
        }
        dsharpening = dpower;
        blend(candidate, previous, gate, blended);
        clear(dprevious, slots);
        each([&](int to, int from, int k, int many) {
            const L part = shift[k];
            L sum(T(0));
            for (int n = 0; n < many; n++) {
                dprevious[from + n] += part * d[to + n];  // of what was blended, so far
                sum += d[to + n] * blended[from + n];
            }
            dshift[k] += sum;
        });
        for (int n = 0; n < slots; n++) {
            const L dn = dprevious[n];
            dblend += dn * (candidate[n] - previous[n]);
            dcandidate[n] += gate * dn;
            dprevious[n] = dn - gate * dn;
        }
        dgate = dblend;
    }
};

// The gradient of softmax: dx from dy and what was made, y; in place allowed.
template <class L>
static inline void softmax_back(const L* y, const L* dy, L* dx, int many) {
    L dot(0);
    for (int i = 0; i < many; i++) dot += y[i] * dy[i];
    for (int i = 0; i < many; i++) dx[i] = y[i] * (dy[i] - dot);
}
