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


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn(xs, W, U, b, c):
    """Elman 1990: h_t = tanh(W x_t + b + U h_{t-1} + c), for every x of xs."""
    h, out = np.zeros(len(U)), []
    for x in xs:
        h = np.tanh(W @ x + b + U @ h + c)
        out.append(h)
    return np.array(out)


def gru(xs, W, U, b, c):
    """Cho et al. 2014 (arXiv 1406.1078), eqs. 5-8, reset after the product as torch has it; rows: reset, update, new."""
    h, out = np.zeros(U.shape[1]), []
    for x in xs:
        (r, z, n), (hr, hz, hn) = np.split(W @ x + b, 3), np.split(U @ h + c, 3)
        r, z = sigmoid(r + hr), sigmoid(z + hz)
        n = np.tanh(n + r * hn)
        h = (1 - z) * n + z * h
        out.append(h)
    return np.array(out)


def lstm(xs, W, U, b, c):
    """Gers et al. 2000, with a forget gate and no peepholes; rows: input, forget, cell, output."""
    h, cell, out = np.zeros(U.shape[1]), np.zeros(U.shape[1]), []
    for x in xs:
        i, f, g, o = np.split(W @ x + b + U @ h + c, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(cell)
        out.append(h)
    return np.array(out)


def positions(ticks, width):
    """Vaswani et al. 2017, section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i / d)), PE(pos, 2i + 1) = cos of the same."""
    PE = np.zeros((ticks, width))
    for pos in range(ticks):
        for channel in range(width):
            angle = pos / 10_000 ** (2 * (channel // 2) / width)
            PE[pos, channel] = np.sin(angle) if channel % 2 == 0 else np.cos(angle)
    return PE


def attention(Q, K, V):
    """Vaswani et al. 2017, eq. 1, each row looking at itself and the rows before it: weights and what they fetch."""
    T, d = Q.shape
    weights = np.zeros((T, T))
    for t in range(T):
        e = [np.exp(sum(Q[t][c] * K[s][c] for c in range(d)) / np.sqrt(d)) for s in range(t + 1)]
        weights[t, : t + 1] = [x / sum(e) for x in e]
    return weights, np.array([sum(weights[t, s] * V[s] for s in range(t + 1)) for t in range(T)])
