"""A study's figures, by matplotlib: every seed a dot, on one axis for all rows. Each is a PNG file's bytes."""

import io
from typing import Any

import numpy as np

from ntm.studies.plan import Part
from ntm.studies.results import as_outcomes

DOT, MIDDLE, FAINT = "#2a5d9f", "#d1495b", "#c9ced6"
SMALLEST = 1e-16
"""What is less is drawn as this: zero has no place on a logarithmic axis."""


def figure(part: Part, found: dict[str, Any]) -> bytes:
    """The figure of a part, from what was found of it."""
    return {"loss": losses, "curve": curves, "wrong": shares}[part.shows](part, found)


def losses(part: Part, found: dict[str, Any]) -> bytes:
    """Loss inside and far outside of what was trained, by row, logarithmic; a line at the median."""
    from matplotlib.figure import Figure

    rows = list(found["rows"])
    places = {"inside": part.inside - 1, "outside": len(part.lengths) - 1}
    drawn = Figure(figsize=(9, 0.9 + 0.34 * len(rows)), dpi=110, layout="constrained")
    axes = drawn.subplots(1, 2, sharex=True, sharey=True)
    for axis, (where, place) in zip(axes, places.items()):
        for at, row in enumerate(rows):
            values = np.array([one.loss[place] or 0.0 for one in as_outcomes(found["rows"][row]) if one.loss[place] is not None])
            if values.size:
                values = values.clip(SMALLEST)
                spread = np.linspace(-0.25, 0.25, values.size) if values.size > 1 else np.zeros(1)
                axis.plot(values, at + spread, "o", color=DOT, ms=3.5, alpha=0.7)
                axis.plot([np.median(values)] * 2, [at - 0.35, at + 0.35], color=MIDDLE, lw=2)
        axis.set(xscale="log", title=f"{where}: {part.lengths[place]}", yticks=range(len(rows)), yticklabels=rows, xlabel=part.unit)
        axis.grid(axis="x", color=FAINT, lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    return as_png(drawn)


def curves(part: Part, found: dict[str, Any]) -> bytes:
    """Loss by length, a line a row through the medians, from the least to the greatest seed; the trained range is shaded."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9, 5), dpi=110, layout="constrained")
    axis = drawn.subplots()
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    axis.axvspan(0, part.lengths[part.inside - 1], color=FAINT, alpha=0.5, lw=0)
    for number, row in enumerate(found["rows"]):
        values = np.array([one.loss for one in as_outcomes(found["rows"][row])], float).clip(SMALLEST)
        if values.size:
            axis.plot(part.lengths, np.median(values, 0), color=colours[number % 20], label=row)
            axis.fill_between(part.lengths, values.min(0), values.max(0), color=colours[number % 20], alpha=0.12, lw=0)
    axis.set(yscale="log", xlabel="judged up to (trained: shaded)", ylabel=part.unit)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    return as_png(drawn)


def shares(part: Part, found: dict[str, Any]) -> bytes:
    """Sequences that are right, in per cent, by row and length: a cell's colour is the mean, each seed's share stands in it."""
    from matplotlib.figure import Figure

    rows = list(found["rows"])
    drawn = Figure(figsize=(2.4 + 1.5 * len(part.lengths), 0.9 + 0.42 * len(rows)), dpi=110, layout="constrained")
    axis = drawn.subplots()
    values = [[right(one.wrong, part.sequences) for one in as_outcomes(found["rows"][row])] for row in rows]
    means = np.array([np.mean(each, 0) if each else np.full(len(part.lengths), np.nan) for each in values])
    axis.imshow(means, cmap="Blues", vmin=0, vmax=110, aspect="auto")
    for at, each in enumerate(values):
        for place in range(len(part.lengths)):
            said = " ".join(told(share[place]) for share in each) if len(each) <= 4 else f"{np.mean(each, 0)[place]:.0f}"
            ink = "white" if means[at, place] > 60 else "black"
            axis.text(place, at, said or "failed", ha="center", va="center", fontsize=8, color=ink)
    labels = [f"{n}{' (trained)' if k < part.inside else ''}" for k, n in enumerate(part.lengths)]
    axis.set(xticks=range(len(labels)), xticklabels=labels, yticks=range(len(rows)), yticklabels=rows)
    # The words may be longer than the axis is wide: what is left over goes under the rows' names.
    axis.set_xlabel("length judged; in each cell whole sequences right, in %, seed by seed", loc="right")
    axis.spines[:].set_visible(False)
    return as_png(drawn)


def right(wrong: tuple[int, ...], of: int) -> list[float]:
    """Sequences that are right, in per cent."""
    return [100 * (1 - count / of) for count in wrong]


def told(share: float) -> str:
    """A share in per cent; only all is 100."""
    return "100" if share == 100 else f"{min(share, 99.9):.1f}" if share > 99 else f"{share:.0f}"


def as_png(drawn: Any) -> bytes:
    """A figure as the bytes of a PNG file, the same every time."""
    written = io.BytesIO()
    drawn.savefig(written, format="png", metadata={"Software": None})
    return written.getvalue()
