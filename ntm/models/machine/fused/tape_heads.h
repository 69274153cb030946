// The heads of tape_heads.py, forth and back: they write where they last read, move, and read where they arrived.
#pragma once
#include "heads.h"

template <class L>
struct TapeHeads : Heads<L> {
    using T = typename L::Number;
    using Base = Heads<L>;
    using Base::channels, Base::heads, Base::move, Base::record, Base::slots, Base::weights, Base::width;
    const int moves, tapes;
    const std::vector<int> window, control;  // offsets of the slots seen; input channels that move the heads, none: what the controller says
    const T rounding;
    int raw, asked, taken, shifted, source = 0;  // `taken`: what is asked, drawn to bits
    int of_head, of_written;  // where what is written begins among the raw parameters

    TapeHeads(Record& r, Parameters<T>& from, int slots, int width, int moves, int heads, bool separate, std::vector<int> window,
              std::vector<int> control, int controller, T rounding)
        : Base(r, slots, width, moves, heads, separate ? heads : 1, 2 * heads * width, true), moves(moves), tapes(separate ? heads : 1),
          window(window), control(control), rounding(rounding) {
        of_head = 2 + moves, of_written = heads * of_head;
        this->scratch = heads * slots + 2 * slots + heads * (of_head + 2 * width) + heads + int(control.size());
        raw = r.take(of_written + heads * 2 * width);
        asked = r.take(of_written + heads * 2 * width);  // gate, sharpening, shift; value, erase
        taken = rounding ? r.take(of_written + heads * 2 * width) : asked;
        shifted = r.take(heads * slots);
        if (!control.empty()) source = r.take(int(control.size()));
        this->layers.emplace_back(from, r, of_written, control.empty() ? controller : int(control.size()), source);
        this->layers.emplace_back(from, r, heads * 2 * width, controller, 0);
    }
    void place(Record& r) override {
        Base::place(r);
        this->layers[1].x = r.hidden;
        if (control.empty()) this->layers[0].x = r.hidden;
    }
    void tick(const L* before, L* after, L* memory, const L* home, const L* noise, L* scratch) const override {
        ask(after, noise);
        if (rounding) take(after + asked, after + taken);
        write(before, after, memory, memory);
        for (int h = 0; h < heads; h++) {
            const L* a = after + taken + h * of_head;
            move.forth(home + h * slots, before + weights + h * slots, a[0], a + 2, a[1], after + shifted + h * slots,
                       after + weights + h * slots, scratch);
        }
        L* reads = after + record.reads;
        clear(reads, heads * int(window.size()) * width);
        each_seen([&](int h, int seen, int from, int at, int many) {
            const L *w = after + weights + h * slots + from, *slot = memory + at * channels + tape(h) * width;
            L* read = reads + seen * width;
            for (int n = 0; n < many; n++, slot += channels)
                for (int m = 0; m < width; m++) read[m] += w[n] * slot[m];
        });
    }
    void write(const L* before, const L* after, const L* old, L* fresh) const override {
        tapes == heads ? write<true>(before + weights, after, old, fresh) : write<false>(before + weights, after, old, fresh);
    }
    void back(const L* before, const L* after, const L* old, const L* fresh, const L* home, L* ds, L* dmemory, L* dhidden, L* dy, L* dx,
              L* dhome, L* scratch) const override {
        L *dweights = scratch, *dasked = dweights + heads * slots, *dwritten = dasked + of_written, *rest = dwritten + heads * 2 * width;
        copy(ds + weights, dweights, heads * slots);
        clear(dasked, of_written + heads * 2 * width);
        each_seen([&](int h, int seen, int from, int at, int many) {
            const L *w = after + weights + h * slots + from, *slot = fresh + at * channels + tape(h) * width;
            const L* dread = ds + record.reads + seen * width;
            L *dslot = dmemory + at * channels + tape(h) * width, *dw = dweights + h * slots + from;
            for (int n = 0; n < many; n++, slot += channels, dslot += channels) {
                L sum(T(0));
                for (int m = 0; m < width; m++) {
                    sum += dread[m] * slot[m];
                    dslot[m] += w[n] * dread[m];
                }
                dw[n] += sum;
            }
        });
        for (int h = 0; h < heads; h++) {
            const L* a = after + taken + h * of_head;
            L* da = dasked + h * of_head;
            move.back(home + h * slots, before + weights + h * slots, a[0], a + 2, a[1], after + shifted + h * slots,
                      after + weights + h * slots, dweights + h * slots, dhome + h * slots, ds + weights + h * slots, da[0], da + 2,
                      da[1], rest);
        }
        tapes == heads ? unwrite<true>(before + weights, after, old, dmemory, ds + weights, dwritten, rest)
                       : unwrite<false>(before + weights, after, old, dmemory, ds + weights, dwritten, rest);
        unask(after, dasked, dwritten, dhidden, dy, dx, rest);
    }

   private:
    int tape(int head) const { return tapes == 1 ? 0 : head; }

    // f(head, seen, from, at, many): weights from slot `from` on see the slots from `at` on, as vector `seen` of what is read.
    template <class F>
    void each_seen(F f) const {
        int seen = 0;
        for (int h = 0; h < heads; h++)
            for (int offset : window) {
                const int by = ((offset % slots) + slots) % slots;
                f(h, seen, 0, by, slots - by);
                f(h, seen++, slots - by, 0, by);
            }
    }
    void ask(L* after, const L* noise) const {
        for (size_t i = 0; i < control.size(); i++) after[source + i] = after[record.given + control[i]];
        this->layers[0].linear.apply(after + this->layers[0].x, after + raw);
        this->layers[1].linear.apply(after + record.hidden, after + raw + of_written);
        for (int h = 0; h < heads; h++) {
            const L* p = after + raw + h * of_head;
            L* a = after + asked + h * of_head;
            a[0] = sigmoid(within(p[0], CLIP<T>));
            a[1] = T(1) + softplus(within(p[1], CLIP<T>));
            for (int k = 2; k < of_head; k++) a[k] = within(p[k], CLIP<T>);
            softmax(a + 2, a + 2, moves);
        }
        for (int i = 0; i < heads * 2 * width; i++) {
            const L held = within(after[raw + of_written + i], CLIP<T>);
            after[asked + of_written + i] = sigmoid(noise ? held + noise[i] : held);
        }
    }
    // What is asked, drawn to bits: gates and what is written, and of a head's moves the first of the likeliest.
    void take(const L* a, L* t) const {
        copy(a, t, of_written);
        for (int i = of_written; i < of_written + heads * 2 * width; i++) t[i] = to_bits(a[i], rounding);
        for (int h = 0; h < heads; h++, a += of_head, t += of_head) {
            t[0] = to_bits(a[0], rounding);
            L most = a[2], left(T(1));
            for (int k = 3; k < of_head; k++) most = where_below(most - a[k], T(0), a[k], most);
            for (int k = 2; k < of_head; k++) {
                const L chosen = where_below(a[k] - most, T(0), L(T(0)), left);
                left -= chosen;
                t[k] = a[k] + L(rounding) * (chosen - a[k]);
            }
        }
    }
    void unask(const L* after, const L* dasked, const L* dwritten, L* dhidden, L* dy, L* dx, L* dsource) const {
        L* d = dy + this->layers[0].dy;
        for (int h = 0; h < heads; h++, d += of_head) {
            const L *p = after + raw + h * of_head, *a = after + asked + h * of_head, *da = dasked + h * of_head;
            d[0] = unclipped(p[0], da[0] * a[0] * (T(1) - a[0]));
            d[1] = unclipped(p[1], da[1] * sigmoid(p[1]));
            softmax_back(a + 2, da + 2, d + 2, moves);
            for (int k = 2; k < of_head; k++) d[k] = unclipped(p[k], d[k]);
        }
        d = dy + this->layers[1].dy;
        for (int i = 0; i < heads * 2 * width; i++) {
            const L a = after[asked + of_written + i];
            d[i] = unclipped(after[raw + of_written + i], dwritten[i] * a * (T(1) - a));
        }
        this->layers[1].linear.back_and_add(d, dhidden);
        if (control.empty()) return this->layers[0].linear.back_and_add(dy + this->layers[0].dy, dhidden);
        clear(dsource, int(control.size()));
        this->layers[0].linear.back_and_add(dy + this->layers[0].dy, dsource);
        for (size_t i = 0; i < control.size(); i++) dx[control[i]] += dsource[i];
    }
    // Every head of a tape erases, then every one adds erase times value (memory.py). `one`: a tape has one head.
    template <bool one>
    void write(const L* w, const L* after, const L* old, L* fresh) const {
        const L* written = after + taken + of_written;
        const int several = one ? 1 : heads;
        for (int n = 0; n < slots; n++)
            for (int first = 0; first < tapes; first++)
                for (int m = 0; m < width; m++, old++, fresh++) {
                    L value = *old;
                    for (int h = first; h < first + several; h++) value -= value * (w[h * slots + n] * written[(2 * h + 1) * width + m]);
                    for (int h = first; h < first + several; h++) {
                        const L* from = written + 2 * h * width + m;
                        value += w[h * slots + n] * (from[0] * from[width]);
                    }
                    *fresh = value;
                }
    }
    // Turns `d`, the gradient of the memory after, into that of the one before; adds to dw and dwritten.
    template <bool one>
    void unwrite(const L* w, const L* after, const L* old, L* d, L* dw, L* dwritten, L* held) const {
        const L* written = after + taken + of_written;
        const int several = one ? 1 : heads;
        for (int n = 0; n < slots; n++)
            for (int first = 0; first < tapes; first++) {
                L dpoint(T(0));  // of the weight of one head
                for (int m = 0; m < width; m++, old++, d++) {
                    const L dadded = *d;
                    L value = *old, dvalue = *d;
                    for (int h = 0; !one && h < several; h++) {  // what each head found
                        held[h] = value;
                        value -= value * (w[(first + h) * slots + n] * written[(2 * (first + h) + 1) * width + m]);
                    }
                    for (int h = several - 1; h >= 0; h--) {
                        const int at = (first + h) * slots + n, add = 2 * (first + h) * width + m, erase = add + width;
                        const L put = w[at] * dadded, lost = dvalue * (one ? value : held[h]);
                        dwritten[add] += put * written[erase];
                        dwritten[erase] += put * written[add] - lost * w[at];
                        (one ? dpoint : dw[at]) += dadded * (written[add] * written[erase]) - lost * written[erase];
                        dvalue -= dvalue * (w[at] * written[erase]);
                    }
                    *d = dvalue;
                }
                if (one) dw[first * slots + n] += dpoint;
            }
    }
};
