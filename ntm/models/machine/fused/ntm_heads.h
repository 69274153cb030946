// The heads of ntm_heads.py, forth and back: they address by content and location, then write, then read.
#pragma once
#include "heads.h"

template <class T>
constexpr T NORM_EPSILON = T(1e-6);

template <class L>
struct NTMHeads : Heads<L> {
    using T = typename L::Number;
    using Base = Heads<L>;
    using Base::heads, Base::move, Base::record, Base::slots, Base::weights, Base::width;
    const int moves, readers, writers;
    int raw, asked, alike, focus, shifted, norms = 0;
    int of_head, of_asked;  // lanes of each head: raw parameters; gate, strength, sharpening, root, key of length one, shift

    NTMHeads(Record& r, Parameters<T>& from, int slots, int width, int moves, int readers, int writers, int controller)
        : Base(r, slots, width, moves, readers + writers, 1, 0, false), moves(moves), readers(readers), writers(writers) {
        of_head = 3 + width + moves, of_asked = 4 + width + moves;
        this->scratch = 3 * heads * slots + 2 * slots + heads * of_asked + (2 * writers + readers + 1) * width + writers;
        raw = r.take(heads * of_head + 2 * writers * width);
        asked = r.take(heads * of_asked + 2 * writers * width);
        alike = r.take(heads * slots), focus = r.take(heads * slots), shifted = r.take(heads * slots);
        this->layers.emplace_back(from, r, heads * of_head, controller, 0);
        this->layers.emplace_back(from, r, 2 * writers * width, controller, 0);
    }
    void place(Record& r) override {
        Base::place(r);
        norms = r.take(slots);
        for (Layer<L>& layer : this->layers) layer.x = r.hidden;
    }
    void begin(L* first, const L* memory) const override {
        for (int n = 0; n < slots; n++) {
            L sum(NORM_EPSILON<T>);
            for (int m = 0; m < width; m++) sum += memory[n * width + m] * memory[n * width + m];
            first[norms + n] = inverse_root(sum);
        }
    }
    void tick(const L* before, L* after, L* memory, const L*, const L*, L* scratch) const override {
        ask(after);
        in_blocks<L>(slots, [&](int n, auto some) {
            for (int h = 0; h < heads; h++) {
                const L *key = after + asked + h * of_asked + 4, *old = memory + n * width;
                L dots[some] = {};
                for (int m = 0; m < width; m++)
                    for (int i = 0; i < some; i++) dots[i] += key[m] * old[i * width + m];
                for (int i = 0; i < some; i++) after[alike + h * slots + n + i] = dots[i] * before[norms + n + i];
            }
        });
        for (int h = 0; h < heads; h++) {
            const L *a = after + asked + h * of_asked, *like = after + alike + h * slots;
            L *content = after + focus + h * slots, *looks = after + weights + h * slots;
            for (int n = 0; n < slots; n++) content[n] = a[1] * like[n];
            softmax(content, content, slots);
            move.forth(content, before + weights + h * slots, a[0], a + 4 + width, a[2], after + shifted + h * slots, looks, scratch);
        }
        one() ? write_and_read<true>(memory, after) : write_and_read<false>(memory, after);
    }
    void write(const L*, const L* after, const L* old, L* fresh) const override {
        one() ? write<true>(after, old, fresh) : write<false>(after, old, fresh);
    }
    void back(const L* before, const L* after, const L* old, const L*, const L*, L* ds, L* dmemory, L* dhidden, L* dy, L*, L*,
              L* scratch) const override {
        L *dweights = scratch, *dfocus = dweights + heads * slots, *dalike = dfocus + heads * slots, *dasked = dalike + heads * slots;
        L *dwritten = dasked + heads * of_asked, *rest = dwritten + 2 * writers * width;
        copy(ds + weights, dweights, heads * slots);
        clear(dfocus, heads * slots);
        clear(dasked, heads * of_asked + 2 * writers * width);
        one() ? unwrite_and_unread<true>(after, old, ds + record.reads, dmemory, dweights, dwritten, rest)
              : unwrite_and_unread<false>(after, old, ds + record.reads, dmemory, dweights, dwritten, rest);
        for (int h = 0; h < heads; h++) {
            const L *a = after + asked + h * of_asked, *content = after + focus + h * slots, *like = after + alike + h * slots;
            L *da = dasked + h * of_asked, *dlike = dalike + h * slots;
            move.back(content, before + weights + h * slots, a[0], a + 4 + width, a[2], after + shifted + h * slots,
                      after + weights + h * slots, dweights + h * slots, dfocus + h * slots, ds + weights + h * slots, da[0],
                      da + 4 + width, da[2], rest);
            softmax_back(content, dfocus + h * slots, dlike, slots);
            for (int n = 0; n < slots; n++) da[1] += dlike[n] * like[n], dlike[n] = a[1] * dlike[n];
        }
        in_blocks<L, 2>(heads, [&](int h, auto pair) {
            uncompare<pair>(before + norms, after + alike + h * slots, after + asked + h * of_asked + 4, old, dalike + h * slots, dmemory,
                            dasked + h * of_asked + 4);
        });
        unask(after, dasked, dwritten, dhidden, dy);
    }

   private:
    void ask(L* after) const {
        const L* p = after + raw;
        for (const Layer<L>& layer : this->layers) layer.linear.apply(after + record.hidden, after + raw + (layer.dy - this->layers[0].dy));
        for (int h = 0; h < heads; h++, p += of_head) {
            L* a = after + asked + h * of_asked;
            a[0] = sigmoid(within(p[0], CLIP<T>));
            a[1] = softplus(within(p[1], CLIP<T>));
            a[2] = T(1) + softplus(within(p[2], CLIP<T>));
            L sum(NORM_EPSILON<T>);
            for (int m = 0; m < width; m++) {
                a[4 + m] = within(p[3 + m], CLIP<T>);
                sum += a[4 + m] * a[4 + m];
            }
            a[3] = inverse_root(sum);
            for (int m = 0; m < width; m++) a[4 + m] *= a[3];
            for (int k = 0; k < moves; k++) a[4 + width + k] = within(p[3 + width + k], CLIP<T>);
            softmax(a + 4 + width, a + 4 + width, moves);
        }
        L* written = after + asked + heads * of_asked;
        for (int h = 0; h < writers; h++, written += 2 * width, p += 2 * width)
            for (int m = 0; m < width; m++) {
                written[m] = hyperbolic_tangent(within(p[m], CLIP<T>));
                written[width + m] = sigmoid(within(p[width + m], CLIP<T>));
            }
    }
    void unask(const L* after, const L* dasked, const L* dwritten, L* dhidden, L* dy) const {
        const L* p = after + raw;
        L* d = dy + this->layers[0].dy;
        for (int h = 0; h < heads; h++, p += of_head, d += of_head) {
            const L *a = after + asked + h * of_asked, *da = dasked + h * of_asked;
            d[0] = unclipped(p[0], da[0] * a[0] * (T(1) - a[0]));
            d[1] = unclipped(p[1], da[1] * sigmoid(p[1]));
            d[2] = unclipped(p[2], da[2] * sigmoid(p[2]));
            L dot(T(0));
            for (int m = 0; m < width; m++) dot += da[4 + m] * a[4 + m];
            for (int m = 0; m < width; m++) d[3 + m] = unclipped(p[3 + m], a[3] * (da[4 + m] - dot * a[4 + m]));
            softmax_back(a + 4 + width, da + 4 + width, d + 3 + width, moves);
            for (int k = 3 + width; k < of_head; k++) d[k] = unclipped(p[k], d[k]);
        }
        const L* written = after + asked + heads * of_asked;
        for (int h = 0; h < writers; h++, written += 2 * width, dwritten += 2 * width, p += 2 * width, d += 2 * width)
            for (int m = 0; m < width; m++) {
                const L add = written[m], erase = written[width + m];
                d[m] = unclipped(p[m], dwritten[m] * (T(1) - add * add));
                d[width + m] = unclipped(p[width + m], dwritten[width + m] * erase * (T(1) - erase));
            }
        for (const Layer<L>& layer : this->layers) layer.linear.back_and_add(dy + layer.dy, dhidden);
    }
    // The way back of so many heads' comparing; adds to dold and dkey.
    template <int some>
    void uncompare(const L* norm, const L* like, const L* key, const L* old, const L* dlike, L* dold, L* dkey) const {
        in_blocks<L>(width, [&](int m, auto size) {
            L sums[some][size] = {};
            for (int n = 0; n < slots; n++) {
                L along[some], across[some];
                for (int h = 0; h < some; h++) {
                    along[h] = dlike[h * slots + n] * norm[n];
                    across[h] = along[h] * like[h * slots + n] * norm[n];
                }
                for (int i = 0; i < size; i++) {
                    const L value = old[n * width + m + i];
                    L d = dold[n * width + m + i];
                    for (int h = 0; h < some; h++) {
                        d += along[h] * key[h * of_asked + m + i] - across[h] * value;
                        sums[h][i] += along[h] * value;
                    }
                    dold[n * width + m + i] = d;
                }
            }
            for (int h = 0; h < some; h++)
                for (int i = 0; i < size; i++) dkey[h * of_asked + m + i] += sums[h][i];
        });
    }
    bool one() const { return readers == 1 && writers == 1; }

    // Every writing head erases, then every one adds (memory.py). `one`: one head of each kind, which the compiler then knows. Of every
    // number of a memory: never a call.
    template <bool one>
    __attribute__((always_inline)) L changed(L value, const L* w, const L* written, int n, int m) const {
        const int readers = one ? 1 : this->readers, writers = one ? 1 : this->writers;
        for (int h = 0; h < writers; h++) value -= value * (w[(readers + h) * slots + n] * written[(2 * h + 1) * width + m]);
        for (int h = 0; h < writers; h++) value += w[(readers + h) * slots + n] * written[2 * h * width + m];
        return value;
    }
    template <bool one>
    void write(const L* after, const L* old, L* fresh) const {
        const L *w = after + weights, *written = after + asked + heads * of_asked;
        for (int n = 0; n < slots; n++)
            for (int m = 0; m < width; m++) *fresh++ = changed<one>(*old++, w, written, n, m);
    }
    // A slot is read as soon as it is written.
    template <bool one>
    void write_and_read(L* memory, L* after) const {
        const int readers = one ? 1 : this->readers;
        const L *w = after + weights, *written = after + asked + heads * of_asked;
        L* reads = after + record.reads;
        clear(reads, readers * width);
        in_blocks<L>(width, [&](int m, auto size) {
            L sums[size] = {};  // of one head
            for (int n = 0; n < slots; n++) {
                L sum = m ? after[norms + n] : L(NORM_EPSILON<T>);
                for (int i = 0; i < size; i++) {
                    L& slot = memory[n * width + m + i];
                    const L value = slot = changed<one>(slot, w, written, n, m + i);
                    sum += value * value;
                    for (int h = 0; h < readers; h++) (one ? sums[i] : reads[h * width + m + i]) += w[h * slots + n] * value;
                }
                after[norms + n] = m + size == width ? inverse_root(sum) : sum;
            }
            for (int i = 0; one && i < size; i++) reads[m + i] = sums[i];
        });
    }
    // Turns `d`, the gradient of the memory after, into that of the one before; adds to dweights and dwritten.
    template <bool one>
    void unwrite_and_unread(const L* after, const L* old, const L* dreads, L* d, L* dweights, L* dwritten, L* held) const {
        const int readers = one ? 1 : this->readers, writers = one ? 1 : this->writers;
        const L *w = after + weights, *written = after + asked + heads * of_asked;
        L *dlook = held + writers, *dpoint = dlook + slots;  // of the weights of one head each
        in_blocks<L>(width, [&](int block, auto size) {
            L dadd[size] = {}, derase[size] = {};  // of what one head writes
            for (int n = 0; n < slots; n++) {
                L look = block ? dlook[n] : L(T(0)), point = block ? dpoint[n] : L(T(0));
                for (int i = 0; i < size; i++) {
                    const int m = block + i;
                    L dvalue = d[n * width + m], value = old[n * width + m];
                    const L now = changed<one>(value, w, written, n, m);
                    for (int h = 0; h < readers; h++) {
                        (one ? look : dweights[h * slots + n]) += dreads[h * width + m] * now;
                        dvalue += w[h * slots + n] * dreads[h * width + m];
                    }
                    for (int h = 0; !one && h < writers; h++) {  // what each head found
                        held[h] = value;
                        value -= value * (w[(readers + h) * slots + n] * written[(2 * h + 1) * width + m]);
                    }
                    const L dadded = dvalue;
                    for (int h = writers - 1; h >= 0; h--) {
                        const int at = (readers + h) * slots + n, add = 2 * h * width + m, erase = add + width;
                        const L lost = dvalue * (one ? value : held[h]);
                        (one ? dadd[i] : dwritten[add]) += dadded * w[at];
                        (one ? derase[i] : dwritten[erase]) -= lost * w[at];
                        (one ? point : dweights[at]) += dadded * written[add] - lost * written[erase];
                        dvalue -= dvalue * (w[at] * written[erase]);
                    }
                    d[n * width + m] = dvalue;
                }
                dlook[n] = look, dpoint[n] = point;
            }
            for (int i = 0; one && i < size; i++) dwritten[block + i] = dadd[i], dwritten[width + block + i] = derase[i];
        });
        if (one) add(dlook, dweights, 2 * slots);
    }
};
