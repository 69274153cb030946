"""Slow and obvious: the equations of Graves et al. 2014 as numpy loops, one number at a time, with the paper's names."""

import numpy as np


def K(u, v, epsilon):
    """Equation 6, cosine similarity; epsilon is added to each squared norm."""
    return sum(a * b for a, b in zip(u, v)) / np.sqrt((sum(a * a for a in u) + epsilon) * (sum(b * b for b in v) + epsilon))


def content(k, beta, M, epsilon):
    """Equation 5: w_c(i)."""
    e = [np.exp(beta * K(k, M[i], epsilon)) for i in range(len(M))]
    return np.array([x / sum(e) for x in e])


def interpolate(w_c, w_previous, g):
    """Equation 7: w_g(i)."""
    return np.array([g * w_c[i] + (1 - g) * w_previous[i] for i in range(len(w_c))])


def shift(w_g, s):
    """Equation 8: circular convolution; s maps a move (-1, 0, +1, ...) to its weight."""
    N = len(w_g)
    out = np.zeros(N)
    for i in range(N):
        for j in range(N):
            for move, weight in s.items():
                if (i - j - move) % N == 0:
                    out[i] += w_g[j] * weight
    return out


def sharpen(w, gamma):
    """Equation 9: w(i)."""
    powers = [x**gamma for x in w]
    return np.array([p / sum(powers) for p in powers])


def read(w, M):
    """Equation 2: r."""
    return np.array([sum(w[i] * M[i][c] for i in range(len(w))) for c in range(len(M[0]))])


def write(M, ws, es, As):
    """Equations 3 and 4: every head erases, then every head adds."""
    M = np.array(M, dtype=float)
    for w, e in zip(ws, es):
        for i in range(len(M)):
            for c in range(len(M[0])):
                M[i][c] *= 1 - w[i] * e[c]
    for w, a in zip(ws, As):
        for i in range(len(M)):
            for c in range(len(M[0])):
                M[i][c] += w[i] * a[c]
    return M
