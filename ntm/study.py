"""python -m ntm.study multiplication [budget=quick|full] [on=local|<address>]: models side by side, and a page."""

from ntm import ends

if __name__ == "__main__":
    ends.leave_at_once("study")  # the imports below take seconds

import json
import re
import sys
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ntm import runs
from ntm.command import command, defaults, fail
from ntm.config import validate
from ntm.errors import UserError
from ntm.studies import page, seeds
from ntm.studies.apart import StoppedError
from ntm.studies.engines import engine
from ntm.studies.plan import Job, Study, jobs, within
from ntm.studies.results import gathered, in_short, log_to_tensorboard
from ntm.studies.work import Done, kept, work
from ntm.train import parsed
from ntm.views.lines import tell


def check(plan: Iterable[Job]) -> None:
    """Raise UserError where a command line of the plan could not begin."""
    for words, together in dict.fromkeys((job.words, job.together) for job in plan):
        try:
            config = parsed(defaults("train", list(words)))
            if together:
                seeds.check(config)
        except UserError as error:
            raise UserError(f"{error} (in {' '.join(words)})") from None


def worked(plan: list[Job], root: Path, executor: Executor, console: Console) -> dict[Job, list[Done]]:
    """The outcomes of every job, those of before and those that are made now; a line for each, and a bar on a terminal."""
    found = {job: done for job in plan if (done := kept(job, root)) is not None}
    missing = [job for job in plan if job not in found]
    if found:
        tell(console, f"known       {len(found)} of {len(plan)} jobs, from before")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    begun = time.monotonic()
    ends.watch.held = True  # a job that is asked to end keeps what it has
    waiting = {executor.submit(work, job, root): job for job in missing}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task("jobs", total=len(plan), completed=len(found))
        while waiting and ends.watch.asked is None:
            for future in wait(waiting, timeout=0.3, return_when=FIRST_COMPLETED).done:
                job = waiting.pop(future)
                try:
                    found[job] = future.result()
                except StoppedError:
                    continue
                bar.advance(line)
                made = len(missing) - len(waiting)
                left = (time.monotonic() - begun) / made * len(waiting)
                tell(console, f"{len(found)}/{len(plan)}  {job.name}: {in_short(job, found[job])}; {left:,.0f} s left at this pace")
    if ends.watch.asked is not None:
        for future in waiting:
            future.cancel()
        wait(waiting, timeout=60)
        tell(console, "what is done is kept: the same command line goes on")
        ends.watch.leave()
    ends.watch.held = False
    return found


@command("study")
def run(values: dict[str, Any], overrides: list[str]) -> None:
    """Check every key, do what is missing, and write the page."""
    study = validate(Study, values["study"], "study")
    budget, on = str(values["budget"]), str(values["on"])
    name = next((word.removeprefix("study=") for word in overrides if word.startswith("study=")), "multiplication")
    study = within(study, budget)
    plan = jobs(study, budget)
    check(plan)
    folder = runs.ROOT / "studies" / f"{name}-{budget}" if values["folder"] is None else Path(str(values["folder"]))
    written = None if values["page"] is None else runs.writable("page", values["page"])
    page.check("page", written)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"folder={folder}: cannot be written ({error.strerror}); allowed: a folder you may write") from None
    console = Console()
    with runs.locked("folder", folder):
        tell(console, f"study       {study.title}; budget {budget}: {len(plan)} jobs, {on}\nfolder      {folder}")
        begun = time.monotonic()
        with engine(on) as executor:
            found = worked(plan, folder, executor, console)
        results = gathered(study, name, budget, found)
        runs.put("folder", folder / "results.json", (json.dumps(results, indent=1) + "\n").encode())
        seconds = {job.name: [done.seconds for done in found[job]] for job in plan}
        runs.put("folder", folder / "seconds.json", (json.dumps(seconds, indent=1) + "\n").encode())
        log_to_tensorboard(results, folder / "tensorboard")
        files = page.write(study, results, seconds, folder, written or folder / f"{name}.md")
        for path in files:
            tell(console, f"written     {path}")
        tell(console, f"time        {time.monotonic() - begun:,.0f} s; TensorBoard: tensorboard --logdir {folder / 'tensorboard'}")


def main() -> None:
    """The command; a study's name may stand alone."""
    before = ["", *sys.argv[1:]]
    alone = [re.fullmatch(r"\w+", word) and not option.startswith("-") for option, word in zip(before, sys.argv[1:])]
    sys.argv[1:] = [f"study={word}" if name else word for name, word in zip(alone, sys.argv[1:])]
    named = [word for word in sys.argv[1:] if word.startswith("study=")]
    if len(named) > 1:
        fail("study", f"{' '.join(named)}: several studies; allowed: one")
    run()


if __name__ == "__main__":
    main()
    ends.too_late()
