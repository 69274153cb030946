// Products of weights [n k] and lanes, and the weights' gradients: every number that a tick multiplies goes through here.
#pragma once
#include <utility>
#include <vector>

#include "lanes.h"

// A linear layer y[n] = b[n] + sum_k w[n k] x[k], its weights packed in blocks of rows that fit into the vector registers.
template <class L>
class Linear {
    using T = typename L::Number;
    static constexpr int block = 12 / L::units;  // accumulators: 12 of 16 registers; of 32, too: few layers have 24 outputs

    static void pack(const T* w, int n, int k, int by_n, int by_k, std::vector<T>& packed) {
        packed.assign(size_t((n + block - 1) / block) * block * k, T(0));
        for (int i = 0; i < n; i++)
            for (int j = 0; j < k; j++) packed[size_t(i / block * k + j) * block + i % block] = w[size_t(i) * by_n + size_t(j) * by_k];
    }

    // The products of `some` rows of a block.
    template <int some, bool add>
    static void multiply_block(const T* w, int n, int k, const T* bias, const L* x, L* y) {
        L sums[some];
        for (int i = 0; i < some; i++) sums[i] = L(bias && i < n ? bias[i] : T(0));
        for (int j = 0; j < k; j++, w += block) {
            const L from = x[j];
            for (int i = 0; i < some; i++) sums[i] += w[i] * from;
        }
        for (int i = 0; i < some && i < n; i++) y[i] = add ? y[i] + sums[i] : sums[i];
    }
    template <bool add>
    static void multiply(const std::vector<T>& packed, int n, int k, const T* bias, const L* x, L* y) {
        constexpr int third = block / 3;  // the last block may need fewer of its rows
        for (int first = 0; first < n; first += block) {
            const int left = n - first;
            const auto multiplied = left <= third       ? multiply_block<third, add>
                                    : left <= 2 * third ? multiply_block<2 * third, add>
                                                        : multiply_block<block, add>;
            multiplied(packed.data() + size_t(first) * k, left, k, bias ? bias + first : nullptr, x, y + first);
        }
    }

    std::vector<T> forth, back;
    const T* bias;

   public:
    int outputs, inputs;

    // Without weights it only has sizes. A machine's layers are packed once a call, and shared by all threads.
    Linear(const T* w, const T* b, int n, int k, bool gradients) : bias(b), outputs(n), inputs(k) {
        if (w) pack(w, n, k, k, 1, forth);
        if (w && gradients) pack(w, k, n, 1, k, back);
    }
    void apply(const L* x, L* y) const { multiply<false>(forth, outputs, inputs, bias, x, y); }
    void apply_and_add(const L* x, L* y) const { multiply<true>(forth, outputs, inputs, bias, x, y); }
    // From the gradient dy of what it made, that of what it was given, added to dx.
    void back_and_add(const L* dy, L* dx) const { multiply<true>(back, inputs, outputs, nullptr, dy, dx); }
};

// Blocks of `size` numbers, those of `a` and then those of `b`, each halved by adding its one half to the other.
template <int size, class L, size_t... i>
static inline __attribute__((always_inline)) typename L::V halved(typename L::V a, typename L::V b, std::index_sequence<i...>) {
    constexpr int half = size / 2, N = L::wide;
    const typename L::V low = {(i < N / 2 ? a : b)[i / half * size % N + i % half]...};
    const typename L::V high = {(i < N / 2 ? a : b)[i / half * size % N + i % half + half]...};
    return low + high;
}

// What stays in its register: compilers that have few of them read it from memory again each time, which takes twice as long.
template <class V>
static inline __attribute__((always_inline)) V in_register(V value) {
#if defined(__SSE2__)
    if constexpr (!std::is_arithmetic_v<V>) asm("" : "+v"(value));  // plain numbers the compiler puts into registers itself
#endif
    return value;
}

// How many inputs and outputs gradients of weights are summed for at once: as many as leave registers for what feeds the sums. Of
// plain numbers, the inputs fill a register.
template <class L>
struct Block {
    static constexpr int wide = L::wide == 1 ? REGISTER / int(sizeof(typename L::Number)) : 4;
    static constexpr int high = REGISTERS == 32 ? 6 : L::wide == 1 ? 3 : 2;
    static constexpr int beyond = high > wide ? high : wide;  // lanes behind those of a layer that are read, too, and not used
};

// Adds to `to` the sum of each register's numbers; of as many registers as there are.
template <class L>
static inline __attribute__((always_inline)) void add_sums(const typename L::V* of, typename L::Number* to, int many) {
    constexpr int wide = Block<L>::wide, N = L::wide;
    typename L::Number sums[wide];
    if constexpr (N == 1) {
        std::memcpy(sums, of, sizeof sums);
    } else {
        constexpr auto each = std::make_index_sequence<N>();
        typename L::V all = halved<N / 2, L>(halved<N, L>(of[0], of[1], each), halved<N, L>(of[2], of[3], each), each);
        if constexpr (N >= 8) all = halved<N / 4, L>(all, all, each);
        if constexpr (N >= 16) all = halved<N / 8, L>(all, all, each);
        std::memcpy(sums, &all, sizeof sums);
    }
    for (int i = 0; i < wide && i < many; i++) to[i] += sums[i];
}

// dw[n k] += sum over ticks and rows of dy[n] x[k], db[n] += that of dy[n]: tick t's are at dy + t * dy_step and x + t * x_step.
template <class L>
static void weight_gradients(const L* dy, size_t dy_step, int n, const L* x, size_t x_step, int k, int ticks, typename L::Number* dw,
                             typename L::Number* db) {
    using V = typename L::V;
    constexpr int high = Block<L>::high, wide = Block<L>::wide, some = 2 * wide;  // inputs whose share stays in the first cache
    for (int jj = 0; jj < k; jj += some)
        for (int i = 0; i < n; i += high)
            for (int j = jj; j < jj + some && j < k; j += wide) {
                V sums[high][wide] = {}, done[high][wide];  // the latter in memory: what is looked at number by number leaves its register
                const L *a = dy + i, *b = x + j;
                for (int t = 0; t < ticks; t++, a += dy_step, b += x_step)
                    for (int u = 0; u < L::units; u++) {
                        V left[high];
#pragma GCC unroll 6
                        for (int p = 0; p < high; p++) left[p] = in_register(a[p].v[u]);
#pragma GCC unroll 16
                        for (int q = 0; q < wide; q++) {
                            const V right = in_register(b[q].v[u]);
#pragma GCC unroll 6
                            for (int p = 0; p < high; p++) sums[p][q] += left[p] * right;
                        }
                    }
#pragma GCC unroll 6
                for (int p = 0; p < high; p++)
#pragma GCC unroll 16
                    for (int q = 0; q < wide; q++) done[p][q] = sums[p][q];
                for (int p = 0; p < high && i + p < n; p++) add_sums<L>(done[p], dw + size_t(i + p) * k + j, k - j);
            }
    for (int i = 0; i < n; i += wide) {
        V sums[wide] = {};
        for (int t = 0; t < ticks; t++)
            for (int u = 0; u < L::units; u++)
#pragma GCC unroll 16
                for (int p = 0; p < wide; p++) sums[p] += dy[t * dy_step + i + p].v[u];
        add_sums<L>(sums, db + i, n - i);
    }
}
