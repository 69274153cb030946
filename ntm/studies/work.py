"""One job of a study: its command line, run apart, and what its models are worth. Kept whole or not at all.

What is known of a seed is one file beside its run. It says what it was made from, so a plan that has changed is worked on anew.
"""

import hashlib
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ntm import files, runs
from ntm.evaluate import rows_of
from ntm.models.base import Model, looked_up
from ntm.studies.apart import ended
from ntm.studies.plan import Job
from tasks import Task


class Outcome(NamedTuple):
    """What became of one seed."""

    seed: int
    failed: str = ""  # the last line of a run that did not end well
    parameters: int = 0
    updates: int = 0  # of the weights that are judged
    loss: tuple[float | None, ...] = ()  # at each length, in the task's unit; None: not a number
    wrong: tuple[int, ...] = ()  # sequences, at each length
    solved: tuple[bool, ...] = ()  # at each length: by the loss that its task names, or with none wrong
    told: str = ""  # by its weights


class Done(NamedTuple):
    """An outcome, and what it took."""

    outcome: Outcome
    seconds: float  # of the job, shared among its seeds


def key_of(job: Job) -> str:
    """What a job's outcomes are made from, as a short text."""
    made_from = [job.words, job.together, job.seeds if job.together else None, job.lengths, job.sequences, job.until_none]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def kept(job: Job, root: Path) -> list[Done] | None:
    """The outcomes of a job that was done before, or None."""
    found = []
    for seed in job.seeds:
        try:
            raw = json.loads((job.folder(root) / f"seed-{seed}.json").read_text())
            if raw["key"] != key_of(job) or raw["outcome"]["failed"]:  # what has failed is tried again
                return None
            found.append(Done(outcome_of(raw["outcome"]), raw["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
    return found


def outcome_of(raw: dict[str, Any]) -> Outcome:
    """An outcome from plain values."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    return Outcome(**values)


def work(job: Job, root: Path) -> list[Done]:
    """Train, judge and keep; raises StoppedError where somebody asks for the end."""
    folder, begun = job.folder(root), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    failed = trained(job, folder)
    found = [Outcome(seed, failed) if failed else judged(job, seed, folder / f"seed-{seed}") for seed in job.seeds]
    seconds = round((time.monotonic() - begun) / len(found), 1)
    for outcome in found:
        content = {"key": key_of(job), "words": job.words, "seconds": seconds, "outcome": outcome._asdict()}
        files.write(folder / f"seed-{outcome.seed}.json", json.dumps(content, indent=1).encode())
    return [Done(outcome, seconds) for outcome in found]


def trained(job: Job, folder: Path) -> str:
    """Run the job's command line, or go on with it; returns the last line of one that failed."""
    name = f"seed-{job.seeds[0]}"
    log, begun = folder / ("seeds.log" if job.together else f"{name}.log"), folder / f"{name}.begun"
    mine = begun.is_file() and begun.read_text() == key_of(job)
    if not mine or (folder / f"{name}.json").is_file():  # of another plan, or of a run that failed
        for seed in job.seeds:
            shutil.rmtree(folder / f"seed-{seed}", ignore_errors=True)
            (folder / f"seed-{seed}.json").unlink(missing_ok=True)
        files.write(begun, key_of(job).encode())
    if job.together:
        words = ["studies.seeds", *job.words, f"seeds={len(job.seeds)}", f"run_dir={folder}"]
    elif any((folder / name / part).is_file() for part in runs.NAMES[runs.LAST]):
        words = ["train", f"resume={folder / name}"]
    else:
        shutil.rmtree(folder / name, ignore_errors=True)
        words = ["train", *job.words, f"seed={job.seeds[0]}", f"run_dir={folder / name}"]
    code = ended(words, log)
    if not code:
        return ""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {code}"


def judged(job: Job, seed: int, folder: Path) -> Outcome:
    """What the weights of a run are worth at each length."""
    loaded = runs.read("run", runs.find("run", str(folder), prefer=runs.BEST))
    model, task = loaded.model, loaded.config.task
    judge = looked_up(model)
    parameters = sum(p.numel() for p in model.parameters())
    losses: list[float | None] = []
    wrong: list[int] = []
    solved: list[bool] = []
    for length in job.lengths:
        if job.until_none and wrong and wrong[-1] == job.sequences:
            losses, wrong, solved = [*losses, None], [*wrong, job.sequences], [*solved, False]
            continue
        loss, errors = measured(judge, task, length, job.sequences)
        below = task.solved_below(length)
        losses.append(loss if math.isfinite(loss) else None)
        wrong.append(errors)
        solved.append(errors == 0 if below is None else loss < below)
    return Outcome(seed, "", parameters, loaded.updates, tuple(losses), tuple(wrong), tuple(solved), model.told())


@torch.inference_mode()
def measured(model: Model, task: Task, length: int, sequences: int) -> tuple[float, int]:
    """Mean loss of test sequences of a length, in the task's unit, and how many of them are wrong; all seeds see the same ones."""
    loss, wrong, done, at_once = 0.0, 0, 0, rows_of(task, length, sequences)
    while done < sequences:
        size = min(at_once, sequences - done)
        batch = task.batch(0, "test", done, size, (length, length))
        logits = model.logits(batch, model.room_for(task.room(length)))
        loss += task.loss(logits, batch, "sequences").item() * size / sequences
        wrong += task.score(logits, batch).wrong_sequences
        done += size
    return loss, wrong
