"""What a study has found, as plain values: `results.json`, TensorBoard's HParams, and short lines for people."""

import math
import shutil
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from ntm.studies.plan import Job, Study
from ntm.studies.work import Done, Outcome

Z = 1.959963984540054
"""Of the normal distribution, for 95 %."""


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, Wilson 1927; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, spread = count / of, Z * Z / of
    middle, half = share + spread / 2, Z * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def gathered(study: Study, name: str, budget: str, found: dict[Job, list[Done]]) -> dict[str, Any]:
    """All outcomes, in the order of the study's file; nothing in it depends on who worked, when, and how fast."""
    parts: dict[str, Any] = {}
    for key, part in study.parts.items():
        rows = {}
        for row in part.rows:
            own = [job for job in found if (job.part, job.row) == (key, row)]
            outcomes = sorted((done.outcome for job in own for done in found[job]), key=lambda outcome: outcome.seed)
            rows[row] = {"words": list(own[0].words), "outcomes": [outcome._asdict() for outcome in outcomes]}
        parts[key] = {"title": part.title, "lengths": list(part.lengths), "sequences": part.sequences, "rows": rows}
    return {"study": name, "budget": budget, "parts": parts}


def in_short(job: Job, done: list[Done]) -> str:
    """A job's outcomes in one line."""
    outcomes, seconds = [one.outcome for one in done], sum(one.seconds for one in done)
    failed = next((outcome.failed for outcome in outcomes if outcome.failed), "")
    if failed:
        return f"failed: {failed}"
    if len(outcomes) > 1:
        inside, outside = (sum(outcome.solved[n] for outcome in outcomes) for n in (0, -1))
        by = f"{inside} at {job.lengths[0]}, {outside} at {job.lengths[-1]}"
        return f"solved by {by} of {len(outcomes)}, {seconds:.0f} s"
    (outcome,) = outcomes
    wrong = ", ".join(f"{count} at {at}" for count, at in zip(outcome.wrong, job.lengths))
    return f"wrong of {job.sequences}: {wrong}; {outcome.updates} updates, {seconds:.0f} s"


def log_to_tensorboard(results: dict[str, Any], folder: Path) -> None:
    """Every seed of every row as a run of TensorBoard's HParams, anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for part, content in results["parts"].items():
        for row, own in content["rows"].items():
            for outcome in own["outcomes"]:
                if outcome["failed"]:
                    continue
                figures = {"parameters": outcome["parameters"], "updates": outcome["updates"]}
                for at, loss, wrong in zip(content["lengths"], outcome["loss"], outcome["wrong"]):
                    figures[f"exact/{at:04d}"] = 1 - wrong / content["sequences"]
                    if loss is not None:
                        figures[f"loss/{at:04d}"] = loss
                known = {"part": part, "row": row, "seed": outcome["seed"]}
                with SummaryWriter(str(folder / f"{part}/{row}/{outcome['seed']}".replace(" ", "_"))) as writer:
                    writer.add_hparams(known, figures, run_name=".")


def as_outcomes(own: dict[str, Any]) -> list[Outcome]:
    """A row's outcomes that did not fail, from plain values."""
    return [Outcome(**outcome) for outcome in own["outcomes"] if not outcome["failed"]]
