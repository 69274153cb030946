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


def rotary(x):
    """Su et al. 2021, eq. 34: row m of x, times the cosines, plus its channels in turned pairs, times the sines of m theta_i."""
    turned = np.zeros(x.shape)
    T, d = x.shape
    for m in range(T):
        for i in range(d // 2):
            theta = m * 10_000 ** (-2 * i / d)
            turned[m, 2 * i] = x[m, 2 * i] * np.cos(theta) - x[m, 2 * i + 1] * np.sin(theta)
            turned[m, 2 * i + 1] = x[m, 2 * i + 1] * np.cos(theta) + x[m, 2 * i] * np.sin(theta)
    return turned


def attention(Q, K, V, slope=0.0):
    """Vaswani et al. 2017, eq. 1, each row looking at itself and the rows before it: weights and what they fetch.

    Press et al. 2022, section 3: `slope` times how far back a row is, is taken off its score.
    """
    T, d = Q.shape
    weights = np.zeros((T, T))
    for t in range(T):
        e = [np.exp(sum(Q[t][c] * K[s][c] for c in range(d)) / np.sqrt(d) - slope * (t - s)) for s in range(t + 1)]
        weights[t, : t + 1] = [x / sum(e) for x in e]
    return weights, np.array([sum(weights[t, s] * V[s] for s in range(t + 1)) for t in range(T)])


def stack_rnn(x, depth, U, b, A, b_A, D, b_D):
    """Joulin & Mikolov 2015, equations 3 to 6 and the no-operation, with tanh units: hidden vectors, actions and stacks."""
    units, channels = len(U), len(D)
    h, s, hidden, actions, stacks = np.zeros(units), np.zeros((depth, channels)), [], [], []
    for x_t in x:
        h = np.tanh(U @ np.concatenate([x_t, h, s[0]]) + b)  # equation 6: U, R and P side by side
        e = np.exp(A @ h + b_A)
        push, pop, keep = a = e / e.sum()  # equation 3
        before = s.copy()
        for i in range(depth):
            above = 1 / (1 + np.exp(-(D @ h + b_D))) if i == 0 else before[i - 1]
            below = before[i + 1] if i + 1 < depth else np.zeros(channels)
            s[i] = push * above + pop * below + keep * before[i]  # equations 4 and 5
        hidden.append(h)
        actions.append(a)
        stacks.append(s.copy())
    return np.array(hidden), np.array(actions), np.array(stacks)


def neural_gpu(x, W, kernel, improved, E, e, G, g, C, c, D, d):
    """Kaiser & Sutskever 2015, section 2, or improved, Freivalds & Liepins 2017, section 3: logits, first column, price."""
    G, C = (U.reshape(len(U), kernel, -1, len(C)) for U in (G, C))
    T, M = len(x), len(C)
    tanh, sigmoid = np.tanh, lambda z: 1 / (1 + np.exp(-z))
    if improved:
        tanh, sigmoid = lambda z: min(1, max(-1, z)), lambda z: min(1, max(0, (z + 1) / 2))
    s, price = np.zeros((M, T, W)), 0.0
    for t in range(T):
        s[:, t, 0] = [tanh(z) for z in E @ x[t] + e]

    def conv(U, b, image, m, t, w):
        total = b[m]
        _, high, wide, _ = U.shape
        for k in range(M):
            for i in range(high):
                for j in range(wide):
                    there = t + i - high // 2, w + j - wide // 2
                    if 0 <= there[0] < T and 0 <= there[1] < W:
                        total += U[m, i, j, k] * image[k, *there]
        return total

    for _ in range(T):
        r, u, after = np.zeros(s.shape), np.zeros(s.shape), np.zeros(s.shape)
        places = [(m, t, w) for m in range(M) for t in range(T) for w in range(W)]
        for m, t, w in places:
            into = conv(G, g, s, m, t, w), conv(G, g, s, M + m, t, w)
            r[m, t, w], u[m, t, w] = sigmoid(into[0]), sigmoid(into[1])
            price += sum(max(0, abs(z) - 0.9) for z in into)
        for m, t, w in places:
            z = conv(C, c, r * s, m, t, w)
            price += max(0, abs(z) - 0.9)
            source = t
            if improved:
                source = t - 1 if m < M // 3 else t + 1 if m < 2 * (M // 3) else t
            kept = s[m, source, w] if 0 <= source < T else 0
            after[m, t, w] = u[m, t, w] * kept + (1 - u[m, t, w]) * tanh(z)
        s = after
    column = s[:, :, 0].T
    return column @ D.T + d, column, price if improved else 0.0
