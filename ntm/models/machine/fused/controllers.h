// The controllers of controllers.py, forth and back: layers of ReLU with a register, and LSTM cells.
#pragma once
#include "parts.h"

template <class L>
struct FeedForward : Controller<L> {
    using T = typename L::Number;
    const Record& record;
    std::vector<int> hidden;  // where each layer's output is
    const int bits;
    const T rounding;
    int reg = 0, squashed = 0;  // where the register is, and where it was before it was drawn to bits

    FeedForward(Record& r, Parameters<T>& from, const std::vector<int>& widths, int reads, int bits, T rounding)
        : record(r), bits(bits), rounding(rounding) {
        int given = r.inputs + reads + bits;
        r.given = r.take(given);
        for (size_t n = 0; n < widths.size(); n++) {
            this->layers.emplace_back(from, r, widths[n], n ? widths[n - 1] : given, n ? hidden[n - 1] : r.given);
            hidden.push_back(n + 1 < widths.size() ? r.take(widths[n]) : 0);
        }
        if (bits) this->layers.emplace_back(from, r, bits, widths.back(), -1);
        if (rounding) squashed = r.take(bits);
    }
    void place(Record& r, int reads) override {
        r.hidden = hidden.back() = r.take(this->layers[hidden.size() - 1].linear.outputs);
        r.state = r.reads = r.take(reads);
        reg = r.take(bits);
        if (!rounding) squashed = reg;
        this->state = {{reg, bits}};
        if (bits) this->layers.back().x = r.hidden;
    }
    void tick(const L* before, L* after, const L* noise) const override {
        copy(before + reg, after + record.given + this->layers[0].linear.inputs - bits, bits);
        for (size_t n = 0; n < hidden.size(); n++) {
            L* said = after + hidden[n];
            this->layers[n].linear.apply(after + this->layers[n].x, said);
            for (int i = 0; i < this->layers[n].linear.outputs; i++) said[i] = where_below(said[i], T(0), L(T(0)), said[i]);
        }
        if (!bits) return;
        this->layers.back().linear.apply(after + record.hidden, after + reg);
        for (int i = 0; i < bits; i++) {
            after[squashed + i] = sigmoid(noise ? after[reg + i] + noise[i] : after[reg + i]);
            if (rounding) after[reg + i] = to_bits(after[squashed + i], rounding);
        }
    }
    void back(const L* before, const L* after, L* ds, L* dhidden, L* dy, L* dgiven) const override {
        if (bits) {
            const Layer<L>& feedback = this->layers.back();
            for (int i = 0; i < bits; i++) dy[feedback.dy + i] = ds[reg + i] * after[squashed + i] * (T(1) - after[squashed + i]);
            feedback.linear.back_and_add(dy + feedback.dy, dhidden);
        }
        for (int n = int(hidden.size()) - 1; n >= 0; n--) {
            const Layer<L>& layer = this->layers[n];
            const L* said = after + hidden[n];
            L* made = dy + layer.dy;
            for (int i = 0; i < layer.linear.outputs; i++) made[i] = where_at_most(said[i], T(0), L(T(0)), n + 1 == int(hidden.size()) ? dhidden[i] : made[i]);
            L* below = n ? dy + this->layers[n - 1].dy : dgiven;
            if (n) clear(below, layer.linear.inputs);
            layer.linear.back_and_add(made, below);
        }
        copy(dgiven + this->layers[0].linear.inputs - bits, ds + reg, bits);
    }
};

template <class L>
struct LSTM : Controller<L> {
    using T = typename L::Number;
    const Record& record;
    int count, width, gates, roots, cells = 0, said = 0;

    LSTM(Record& r, Parameters<T>& from, int count, int width, int reads) : record(r), count(count), width(width) {
        r.given = r.take(r.inputs + reads);
        gates = r.take(count * 4 * width), roots = r.take(count * width);  // gates after their squashing, and tanh of the cells
        for (int n = 0; n < count; n++) {
            this->layers.emplace_back(from, r, 4 * width, n ? width : r.inputs + reads, r.given);
            this->layers.emplace_back(from, r, 4 * width, width, 0, true, this->layers.back().dy);
        }
    }
    void place(Record& r, int reads) override {
        r.state = cells = r.take(count * width);
        said = r.take(count * width);
        this->state = {{said, count * width}, {cells, count * width}};
        r.hidden = said + (count - 1) * width;
        r.reads = r.take(reads);
        for (int n = 0; n < count; n++) {
            if (n) this->layers[2 * n].x = said + (n - 1) * width;
            this->layers[2 * n + 1].x = said + n * width;
        }
    }
    void tick(const L* before, L* after, const L* noise) const override {
        for (int n = 0; n < count; n++) {
            const Layer<L>&from_below = this->layers[2 * n], &from_before = this->layers[2 * n + 1];
            L *made = after + gates + n * 4 * width, *root = after + roots + n * width;
            from_below.linear.apply(after + from_below.x, made);
            from_before.linear.apply_and_add(before + from_before.x, made);
            for (int i = 0; i < width; i++) {
                const L in = sigmoid(made[i]), keep = sigmoid(made[width + i]), out = sigmoid(made[3 * width + i]);
                const L value = hyperbolic_tangent(made[2 * width + i]);
                const L cell = keep * before[cells + n * width + i] + in * value;
                made[i] = in, made[width + i] = keep, made[2 * width + i] = value, made[3 * width + i] = out;
                after[cells + n * width + i] = cell;
                root[i] = hyperbolic_tangent(cell);
                after[said + n * width + i] = out * root[i];
            }
        }
    }
    void back(const L* before, const L* after, L* ds, L* dhidden, L* dy, L* dgiven) const override {
        add(dhidden, ds + said + (count - 1) * width, width);
        for (int n = count - 1; n >= 0; n--) {
            const Layer<L>&from_below = this->layers[2 * n], &from_before = this->layers[2 * n + 1];
            const L *made = after + gates + n * 4 * width, *root = after + roots + n * width, *old = before + cells + n * width;
            L *raw = dy + from_below.dy, *dcell = ds + cells + n * width, *dsaid = ds + said + n * width;
            for (int i = 0; i < width; i++) {
                const L in = made[i], keep = made[width + i], value = made[2 * width + i], out = made[3 * width + i];
                const L d = dcell[i] + dsaid[i] * out * (T(1) - root[i] * root[i]);
                raw[i] = d * value * in * (T(1) - in);
                raw[width + i] = d * old[i] * keep * (T(1) - keep);
                raw[2 * width + i] = d * in * (T(1) - value * value);
                raw[3 * width + i] = dsaid[i] * root[i] * out * (T(1) - out);
                dcell[i] = d * keep;
            }
            clear(dsaid, width);
            from_before.linear.back_and_add(raw, dsaid);
            from_below.linear.back_and_add(raw, n ? ds + said + (n - 1) * width : dgiven);
        }
    }
};
