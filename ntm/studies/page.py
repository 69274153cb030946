"""The page of a study: Markdown with its figures beside it, and the same as one HTML file that needs nothing else."""

import base64
import html
import importlib.util
import re
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ntm import runs
from ntm.errors import UserError
from ntm.studies import figures
from ntm.studies.plan import Part, Study, slug
from ntm.studies.results import as_outcomes, wilson
from ntm.studies.work import Outcome
from ntm.views.render import as_png, pictures

STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-size: 14px }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: left }
img { max-width: 100% } pre, code { background: #f4f4f4 } pre { padding: .6rem; overflow-x: auto } summary { cursor: pointer }"""


def check(key: str, path: Path | None) -> None:
    """Raise UserError where a page could not be written so."""
    if path is not None and path.suffix != ".md":
        raise UserError(f"{key}={path}: allowed: a file that ends in .md")


def has_figures() -> bool:
    """Whether what draws and formats is installed: the extra `study`."""
    return all(importlib.util.find_spec(name) for name in ("matplotlib", "markdown"))


def write(study: Study, results: dict[str, Any], seconds: dict[str, list[float]], folder: Path, path: Path) -> list[Path]:
    """Write the page and its figures; returns the files."""
    drawn = {}
    if has_figures():
        drawn = {f"{path.stem}-{slug(key)}.png": figures.figure(part, results["parts"][key]) for key, part in study.parts.items()}
    text = markdown(study, results, seconds, path.stem, bool(drawn))
    runs.put("page", path, text.encode())
    for name, image in drawn.items():
        runs.put("page", path.with_name(name), image)
    written = [path, *(path.with_name(name) for name in drawn)]
    if drawn:
        page = path.with_suffix(".html")
        runs.put("page", page, as_html(study, text, drawn, looked_into(study, folder)).encode())
        written.append(page)
    return written


def markdown(study: Study, results: dict[str, Any], seconds: dict[str, list[float]], stem: str, with_figures: bool) -> str:
    """The page."""
    name, budget = results["study"], results["budget"]
    lines = [f"# {study.title}", "", study.about.strip(), "", f"    python -m ntm.study {name} budget={budget}", ""]
    if not with_figures:
        lines += ["Figures need two more packages: `pip install 'ntm-machines[study]'`.", ""]
    for key, part in study.parts.items():
        found = results["parts"][key]
        lines += [f"## {part.title}", "", part.asks.strip(), ""]
        if with_figures:
            lines += [f"![{part.title}]({stem}-{slug(key)}.png)", ""]
        lines += table(part, found, {row: took(seconds, key, row) for row in part.rows})
        lines += [
            "",
            f"`{' '.join(part.words)}` and a row's own words; {counted(part, budget)}; {part.sequences} sequences judged each.",
            "",
        ]
        lines += [f"* **{row}**: {sentence(part, as_outcomes(own))}" for row, own in found["rows"].items()]
        lines += [""]
    return "\n".join(lines)


def counted(part: Part, budget: str) -> str:
    """How much was run of a part, in words."""
    asked = part.budgets[budget]
    limit = "" if asked.seconds is None else f", {asked.seconds:g} seconds of one core each"
    return f"{asked.seeds} seed{'s' * (asked.seeds > 1)}{limit}"


def took(seconds: dict[str, list[float]], part: str, row: str) -> float:
    """Seconds of one seed of a row, the median."""
    return median(value for name, values in seconds.items() if name.rpartition(", seed")[0] == f"{part}, {row}" for value in values)


def table(part: Part, found: dict[str, Any], seconds: dict[str, float]) -> list[str]:
    """A row for each model: its size, what was trained, and what it is worth at each length."""
    told = part.unit if part.shows != "wrong" else "wrong"
    head = ["model", "parameters", "updates", "s", *(f"{told} at {length}" for length in shown(part)), "solved outside (95 %)"]
    lines = [f"|{'|'.join(head)}|", f"|{'|'.join('---' for _ in head)}|"]
    for row, own in found["rows"].items():
        outcomes = as_outcomes(own)
        if not outcomes:
            lines.append(f"|{row}|failed: {own['outcomes'][0]['failed'].replace('|', '/')}|{'|' * (len(head) - 2)}")
            continue
        solved = sum(one.solved[-1] for one in outcomes)
        low, high = wilson(solved, len(outcomes))
        share = f"{solved}/{len(outcomes)} ({100 * low:.0f}-{100 * high:.0f})"
        values = [value_at(part, outcomes, part.lengths.index(length)) for length in shown(part)]
        size, made = f"{outcomes[0].parameters:,}", f"{median(one.updates for one in outcomes):,.0f}"
        lines.append(f"|{'|'.join([row, size, made, f'{seconds[row]:.0f}', *values, share])}|")
    return lines


def shown(part: Part) -> tuple[int, ...]:
    """Lengths that a table has: of a curve's only the last trained one and the last."""
    return (part.lengths[part.inside - 1], part.lengths[-1]) if part.shows == "curve" else part.lengths


def value_at(part: Part, outcomes: list[Outcome], place: int) -> str:
    """What a table says of a row at a length: the median over seeds."""
    if part.shows == "wrong":
        return f"{median(one.wrong[place] for one in outcomes):.0f}"
    values = [one.loss[place] for one in outcomes]
    return f"{median(float('inf') if value is None else value for value in values):.2g}"


def sentence(part: Part, outcomes: list[Outcome]) -> str:
    """What a row has learned: what its weights say, and what its answers do."""
    if not outcomes:
        return "no seed ended well."
    own = f"seed {outcomes[0].seed}: {outcomes[0].told}; " if outcomes[0].told else ""
    places, count = (part.inside - 1, len(part.lengths) - 1), len(outcomes)
    inside, outside = (sum(one.solved[place] for one in outcomes) for place in places)
    if outside == count:
        return f"{own}solved at every length that was judged, by every seed."
    said = " and ".join(f"{at_length(part, outcomes, place)} at {part.lengths[place]}" for place in places)
    if outside:
        return f"{own}solved outside by {outside} of {count} seeds: {said}."
    if inside == count:
        return f"{own}learned what it was trained on, and not what follows from it: {said}."
    if inside:
        return f"{own}what it was trained on was learned by {inside} of {count} seeds: {said}."
    return f"{own}solved by no seed: {said}."


def at_length(part: Part, outcomes: list[Outcome], place: int) -> str:
    """What a row's answers are worth at a length, the median over seeds, in words."""
    if part.shows == "wrong":
        return f"{figures.told(100 * (1 - median(one.wrong[place] for one in outcomes) / part.sequences))} % of sequences right"
    return f"{part.unit} {value_at(part, outcomes, place)}"


def looked_into(study: Study, folder: Path) -> dict[str, bytes]:
    """A picture of each row that has one: the trace of one sequence, of its first seed."""
    found = {}
    for key, part in study.parts.items():
        for row in part.rows:
            try:
                loaded = runs.read("run", runs.find("run", str(folder / slug(key) / slug(row) / "seed-0"), prefer=runs.BEST))
            except UserError:  # it failed
                continue
            torch.manual_seed(0)
            batch, output, _ = loaded.model.show(loaded.config.task, "test", 0, loaded.config.task.probe_length)
            if output.signals:
                found[f"{part.title}: {row}"] = as_png(pictures(loaded.config.task, batch, output)["trace"])
    return found


def as_html(study: Study, text: str, drawn: dict[str, bytes], traces: dict[str, bytes]) -> str:
    """The page as one file: figures within it, and the traces of single sequences behind a click."""
    from markdown import markdown as formatted  # type: ignore[import-untyped, unused-ignore]

    body = formatted(text, extensions=["tables"])
    body = re.sub(r'src="([^"]+)"', lambda found: f'src="{as_data(drawn[found[1]])}"' if found[1] in drawn else found[0], body)
    seen = "".join(
        f'<details><summary>{html.escape(name)}</summary><img alt="{html.escape(name)}" src="{as_data(image)}"></details>\n'
        for name, image in traces.items()
    )
    looked = f"<h2>Looked into: one sequence of each, tick by tick</h2>\n{seen}" if traces else ""
    title = html.escape(study.title)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n{looked}</body></html>\n'


def as_data(image: bytes) -> str:
    """A PNG file as the text of a link to itself."""
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"
