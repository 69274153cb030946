// Lanes: one number of each of R rows of a batch, side by side, so that whatever the widths of a machine are, vector units are full.
//
// A lane never meets another one but in the gradients of weights. The functions are those of addressing.py and torch.nn.functional
// to within rounding; what is not a number stays none.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

// What a vector unit takes at once: `N` numbers, and as many integers of their size.
template <class T, int N>
struct Register {
    typedef T type __attribute__((vector_size(N * sizeof(T))));
    typedef std::conditional_t<sizeof(T) == 4, int32_t, int64_t> whole __attribute__((vector_size(N * sizeof(T))));
    static type converted(whole integers) { return __builtin_convertvector(integers, type); }
};
template <class T>
struct Register<T, 1> {  // plain numbers: what follows each other in memory, the compiler puts into registers itself
    typedef T type;
    typedef std::conditional_t<sizeof(T) == 4, int32_t, int64_t> whole;
    static type converted(whole integer) { return T(integer); }
};

// `U` registers of `N` numbers.
template <class T, int U, int N>
struct Lanes {
    using Number = T;
    using V = typename Register<T, N>::type;
    using W = typename Register<T, N>::whole;
    static constexpr int units = U, wide = N, rows = U * N;
    V v[U];

    Lanes() = default;
    Lanes(T value) {
        for (int u = 0; u < U; u++) v[u] = value - V{};
    }
    T* numbers() { return reinterpret_cast<T*>(v); }
    const T* numbers() const { return reinterpret_cast<const T*>(v); }
};

// What the processor's vector registers take, in bytes, and how many of them there are.
#ifdef __AVX512F__
constexpr int REGISTER = 64, REGISTERS = 32;
#else
constexpr int REGISTER = 32, REGISTERS = 16;
#endif

// `R` rows in registers as wide as they are.
template <class T, int R, int N = REGISTER / int(sizeof(T))>
using Rows = Lanes<T, (R > N ? R / N : 1), (R > N ? N : R)>;

#define EACH(...)                                 \
    Lanes<T, U, N> made;                             \
    for (int u = 0; u < U; u++) made.v[u] = (__VA_ARGS__); \
    return made
#define LANES template <class T, int U, int N> static inline __attribute__((always_inline))

LANES Lanes<T, U, N> operator+(Lanes<T, U, N> a, Lanes<T, U, N> b) { EACH(a.v[u] + b.v[u]); }
LANES Lanes<T, U, N> operator-(Lanes<T, U, N> a, Lanes<T, U, N> b) { EACH(a.v[u] - b.v[u]); }
LANES Lanes<T, U, N> operator*(Lanes<T, U, N> a, Lanes<T, U, N> b) { EACH(a.v[u] * b.v[u]); }
LANES Lanes<T, U, N> operator/(Lanes<T, U, N> a, Lanes<T, U, N> b) { EACH(a.v[u] / b.v[u]); }
LANES Lanes<T, U, N> operator*(T a, Lanes<T, U, N> b) { EACH(a * b.v[u]); }
LANES Lanes<T, U, N> operator+(T a, Lanes<T, U, N> b) { EACH(a + b.v[u]); }
LANES Lanes<T, U, N> operator-(T a, Lanes<T, U, N> b) { EACH(a - b.v[u]); }
LANES Lanes<T, U, N>& operator+=(Lanes<T, U, N>& a, Lanes<T, U, N> b) { return a = a + b; }
LANES Lanes<T, U, N>& operator-=(Lanes<T, U, N>& a, Lanes<T, U, N> b) { return a = a - b; }
LANES Lanes<T, U, N>& operator*=(Lanes<T, U, N>& a, Lanes<T, U, N> b) { return a = a * b; }

// b where a > limit, else c; a lane that is not a number takes c.
LANES Lanes<T, U, N> where_above(Lanes<T, U, N> a, T limit, Lanes<T, U, N> b, Lanes<T, U, N> c) { EACH(a.v[u] > limit ? b.v[u] : c.v[u]); }
LANES Lanes<T, U, N> where_below(Lanes<T, U, N> a, T limit, Lanes<T, U, N> b, Lanes<T, U, N> c) { EACH(a.v[u] < limit ? b.v[u] : c.v[u]); }
LANES Lanes<T, U, N> where_at_least(Lanes<T, U, N> a, T limit, Lanes<T, U, N> b, Lanes<T, U, N> c) { EACH(a.v[u] >= limit ? b.v[u] : c.v[u]); }
LANES Lanes<T, U, N> where_at_most(Lanes<T, U, N> a, T limit, Lanes<T, U, N> b, Lanes<T, U, N> c) { EACH(a.v[u] <= limit ? b.v[u] : c.v[u]); }
LANES Lanes<T, U, N> larger(Lanes<T, U, N> a, Lanes<T, U, N> b) { EACH(a.v[u] > b.v[u] ? a.v[u] : b.v[u]); }
LANES Lanes<T, U, N> at_least(Lanes<T, U, N> a, T limit) { EACH(a.v[u] < limit ? limit - typename Register<T, N>::type{} : a.v[u]); }
LANES Lanes<T, U, N> at_most(Lanes<T, U, N> a, T limit) { EACH(a.v[u] > limit ? limit - typename Register<T, N>::type{} : a.v[u]); }
LANES Lanes<T, U, N> within(Lanes<T, U, N> a, T limit) { return at_most(at_least(a, -limit), limit); }

template <int U, int N, class F>
static inline Lanes<double, U, N> by_number(Lanes<double, U, N> a, F function) {
    for (int r = 0; r < Lanes<double, U, N>::rows; r++) a.numbers()[r] = function(a.numbers()[r]);
    return a;
}

template <int U, int N>
static inline Lanes<double, U, N> exponential(Lanes<double, U, N> x) {
    return by_number(x, [](double a) { return std::exp(a); });
}
template <int U, int N>
static inline Lanes<double, U, N> logarithm(Lanes<double, U, N> x) {
    return by_number(x, [](double a) { return std::log(a); });
}
template <int U, int N>
static inline Lanes<double, U, N> hyperbolic_tangent(Lanes<double, U, N> x) {
    return by_number(x, [](double a) { return std::tanh(a); });
}

// exp(x) = 2^n exp(r), |r| <= ln(2) / 2, and the Taylor polynomial of exp to r^7: a relative error under 1e-7. Zero below -87.
template <int U, int N>
static inline __attribute__((always_inline)) Lanes<float, U, N> exponential(Lanes<float, U, N> x) {
    using L = Lanes<float, U, N>;
    L held = at_most(at_least(x, -88.0f), 88.8f), n, two_to_n;
    for (int u = 0; u < U; u++) {
        const typename L::V shifted = held.v[u] * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: what rounds is in the last bits
        n.v[u] = shifted - 12582912.0f;
        typename L::W bits;
        std::memcpy(&bits, &shifted, sizeof bits);
        bits = (bits - 0x4B400000 + 126) << 23;  // half of 2^n: n may be 128
        std::memcpy(&two_to_n.v[u], &bits, sizeof bits);
    }
    const L r = held - 0.693359375f * n + 2.12194440e-4f * n;  // ln(2) in two parts
    L p = L(1.0f / 5040);
    for (float factor : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = p * r + L(factor);
    return where_below(x, -87.0f, L(0.0f), 2.0f * (p * two_to_n));
}

// log(x) of x >= 1e-12: the exponent times ln(2), and 2 artanh((m - 1) / (m + 1)) of the mantissa m in sqrt(1/2) to sqrt(2).
template <int U, int N>
static inline __attribute__((always_inline)) Lanes<float, U, N> logarithm(Lanes<float, U, N> x) {
    using L = Lanes<float, U, N>;
    L exponent, mantissa;
    for (int u = 0; u < U; u++) {
        typename L::W bits, above;
        std::memcpy(&bits, &x.v[u], sizeof bits);
        above = (bits - 0x3F3504F3) >> 23;  // how far above sqrt(1/2), in octaves
        exponent.v[u] = Register<float, N>::converted(above);
        bits = bits - (above << 23);
        std::memcpy(&mantissa.v[u], &bits, sizeof bits);
    }
    const L s = (mantissa - L(1.0f)) / (mantissa + L(1.0f)), square = s * s;
    L p = L(2.0f / 11);
    for (float factor : {2.0f / 9, 2.0f / 7, 2.0f / 5, 2.0f / 3}) p = p * square + L(factor);
    const L made = 0.693147182f * exponent + (2.0f * s + s * square * p);
    for (int u = 0; u < U; u++) mantissa.v[u] = x.v[u] < HUGE_VALF ? made.v[u] : x.v[u];
    return mantissa;
}

// By exp where |x| is large, by the Taylor polynomial of tanh where it is small and the former would cancel.
template <int U, int N>
static inline __attribute__((always_inline)) Lanes<float, U, N> hyperbolic_tangent(Lanes<float, U, N> x) {
    using L = Lanes<float, U, N>;
    const L square = x * x, large = L(1.0f) - L(2.0f) / (1.0f + exponential(2.0f * x));
    L p = L(-1382.0f / 155925);
    for (float factor : {62.0f / 2835, -17.0f / 315, 2.0f / 15, -1.0f / 3}) p = p * square + L(factor);
    return where_below(square, 0.09f, x + x * square * p, large);
}

LANES Lanes<T, U, N> sigmoid(Lanes<T, U, N> x) { return Lanes<T, U, N>(T(1)) / (T(1) + exponential(T(0) - x)); }

// log(1 + exp(x)), and x where that is it: torch's threshold is 20. By Kahan's log1p.
LANES Lanes<T, U, N> softplus(Lanes<T, U, N> x) {
    using L = Lanes<T, U, N>;
    const L e = exponential(x), one = T(1) + e, rest = one - L(T(1));
    L small = logarithm(one) * e / rest;
    for (int u = 0; u < U; u++) small.v[u] = rest.v[u] == T(0) ? e.v[u] : small.v[u];
    return where_above(x, T(20), x, small);
}

LANES Lanes<T, U, N> inverse_root(Lanes<T, U, N> x) {
    for (int r = 0; r < Lanes<T, U, N>::rows; r++) x.numbers()[r] = T(1) / std::sqrt(x.numbers()[r]);
    return x;
}
