"""python -m ntm.train task=binary_mul [resume=last] [group=choice ...] [key=value ...]: train a model on a task."""

from ntm import ends

if __name__ == "__main__":
    ends.leave_at_once("train")  # the imports below take seconds

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.environments import ClusterEnvironment
from rich.console import Console

from ntm import files, proving, runs, sizes, sweep
from ntm.command import command
from ntm.config import Config, build, name_of, parse, plain
from ntm.errors import UserError
from ntm.evaluate import evaluate, rows_of, table, tell_damaged
from ntm.resuming import resumed
from ntm.training import processes
from ntm.training.data import TaskData
from ntm.training.loops import set_counters
from ntm.training.module import LitModel, NonFiniteError
from ntm.training.saving import Saving, score_of, told_once
from ntm.views.callbacks import Bar, Probe
from ntm.views.lines import tell


def parsed(values: dict[str, Any]) -> Config:
    """The configuration that the command line means; raises UserError."""
    sweep.check(values[sweep.KEY])
    return parse({key: value for key, value in values.items() if key not in runs.RUN_KEYS})


def check(config: Config) -> int:
    """The bytes of memory that a run needs, at least; raises UserError where it could not begin on this machine."""
    trainer = config.trainer
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if trainer.accelerator == "gpu" and not gpus:
        raise UserError("trainer.accelerator=gpu: torch finds no GPU here; allowed: auto, cpu")
    if device_of(config) == "gpu" and trainer.backend == "fused":
        raise UserError("trainer.backend=fused: it is for the CPU; allowed: auto, eager, or trainer.accelerator=cpu")
    if device_of(config) == "gpu" and trainer.devices > gpus:
        raise UserError(f"trainer.devices={trainer.devices}: torch finds {gpus} GPU(s) here; allowed: at most that")
    for key, rows in (("batch_size", trainer.batch_size), ("val_sequences", trainer.val_sequences)):
        if rows < trainer.processes:
            told = f"trainer.{key}={rows}: fewer than processes (trainer.devices={trainer.devices}"
            raise UserError(f"{told} x trainer.num_nodes={trainer.num_nodes}); allowed: at least {trainer.processes}")
    if trainer.processes > 1 and {"-m", "--multirun"} & set(sys.argv):
        told = f"trainer.devices={trainer.devices}, trainer.num_nodes={trainer.num_nodes}"
        raise UserError(f"{told}: the runs of a sweep (-m) are of one process each; allowed: 1, 1")
    proving.check(config)
    needed = sizes.check_training(config)
    longest = max(config.task.test_lengths)
    rows = rows_of(config.task, longest, trainer.val_sequences)
    with torch.device("meta"):
        sizes.check_run(build(config), config.task, f"task.test_lengths={list(config.task.test_lengths)}", rows, longest, None)
    return needed


def check_sweep(runs_of_sweep: Iterable[dict[str, Any]]) -> int:
    """How many runs of a sweep go at once; raises UserError where one could not begin, or two would be in one folder."""
    taken: set[tuple[str, str]] = set()
    asked, needs, threads, gpu = [], [], 1, False
    for values in runs_of_sweep:
        config = parsed(values)
        processes.environment(config.trainer)
        asked.append(values[sweep.KEY])
        needs.append(check(config))
        threads, gpu = max(threads, config.trainer.threads), gpu or device_of(config) == "gpu"
        for key in runs.PLACES:
            if values[key] is None:
                continue
            where = key, str(values[key])
            if where in taken:
                raise UserError(f"{key}={values[key]}: two runs of this sweep have it; allowed: one for each, as runs/${{seed}}")
            taken.add(where)
        if values["run_dir"] is not None:
            runs.check_free("run_dir", Path(str(values["run_dir"])), "a new folder")
        if values["resume"] is not None:
            runs.find("resume", str(values["resume"]), prefer=runs.LAST)
    if len(set(asked)) > 1:
        raise UserError(f"at_once={','.join(map(str, asked))}: it is the whole sweep's; allowed: one value")
    return sweep.at_once(asked[0], needs, threads, gpu)


@command("train", check_sweep)
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check everything, then make the run's folder, train, and show what was learned."""
    run_dir, resume = values["run_dir"], values["resume"]
    config = parsed(values)
    with ExitStack() as until_the_end:
        loaded = None
        if resume is not None:
            task = next((word.removeprefix("task=") for word in overrides if word.startswith("task=")), None)
            path = runs.find("resume", str(resume), prefer=runs.LAST, task=task)
            runs.check_config("resume", path.parent)
            loaded = runs.read("resume", path)
            config = parse(resumed(loaded.raw, plain(config), overrides))
        check(config)
        if loaded is not None:
            take_up(LitModel(config), loaded, overrides)  # what is refused here leaves nothing behind, not even a lock
        cluster = processes.environment(config.trainer)
        first = processes.rank_of(cluster, config.trainer) == 0
        if loaded is not None and run_dir is None and first:
            until_the_end.enter_context(runs.locked("resume", loaded.path.parent))
            loaded = runs.read("resume", path)  # again, for now nobody else writes to it
        L.seed_everything(config.seed, verbose=False)
        torch.set_num_threads(config.trainer.threads)
        console = Console(quiet=not first)
        module = LitModel(config, proving.of(config.task), proving.hardening(config.task, lambda line: tell(console, line)))
        rows = -(-config.trainer.batch_size // config.trainer.processes)
        step = module.model.prepare(rows, device_of(config) == "gpu")
        over = loaded is not None and take_up(module, loaded, overrides)
        if not first:
            follow(config, module, cluster, over)
            return
        if loaded is not None and run_dir is None:
            folder = loaded.path.parent
        else:
            folder = runs.new_folder(name_of("task", config.task), None if run_dir is None else str(run_dir))
            until_the_end.enter_context(runs.locked("run_dir", folder))
        try:
            module.best = score_of(folder / runs.BEST)
            if not over:  # from here on the run can be killed at any moment, and go on with what this command line has changed
                files.save(folder / runs.LAST, module.checkpoint())
            runs.save_config(folder, plain(config))
            tell(console, summary(config, module, step, folder, loaded))
            if over:
                tell(console, f"over        {how_it_is_over(module)}")
            else:
                train(config, module, cluster, folder, console)
        except NonFiniteError as error:
            stop(1, f"{error}; the weights before it are in {folder / runs.LAST}")
        except files.NotFiniteError as error:
            stop(1, f"after update {module.progress.updates}, spoilt: {error}; {how_to_go_on(folder)}")
        except OSError as error:
            stop(1, f"{folder} cannot be written ({error.strerror}); {how_to_go_on(folder)}")
        except ends.Ended as ended:
            stop(ended.code, f"by {ended} after update {module.progress.updates}; {how_to_go_on(folder)}")
        tell_results(console, folder, module.solved)


def train(config: Config, module: LitModel, cluster: ClusterEnvironment, folder: Path | None, console: Console) -> None:
    """Updates until the run is over, and its last checkpoint, where there is a folder for it.

    Raises NonFiniteError, NotFiniteError, OSError, and Ended where somebody asks. Ends the process where another one is gone.
    """
    quiet()
    # What is allocated here is written; filling it, Lightning's `deterministic` would have torch do that, takes time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    trainer = build_trainer(config, cluster, folder, console, module.progress.updates)
    set_counters(trainer, module)

    def leave() -> NoReturn:
        if folder is not None:
            sys.stdout.flush()
            stop(1, f"because another of its processes is gone; {how_to_go_on(folder)}", os._exit)
        os._exit(1)

    with processes.to_the_end(leave), told_once():
        trainer.fit(module, datamodule=TaskData(config, lambda: module.progress))
    if folder is not None:
        files.save(folder / runs.LAST, module.sound())
    ends.watch.held = False
    if ends.watch.asked is not None:
        ends.watch.leave()


def follow(config: Config, module: LitModel, cluster: ClusterEnvironment, over: bool) -> None:
    """Train as one of several processes that is not the first: it writes nothing, and the first one speaks for it."""
    with suppress(NonFiniteError, ends.Ended):
        if not over:
            train(config, module, cluster, None, Console(quiet=True))


def take_up(module: LitModel, loaded: runs.Loaded, overrides: list[str]) -> bool:
    """Go on from a checkpoint; returns whether that run is over already. Raises UserError where it cannot go on as asked."""
    try:
        module.take_up(loaded.checkpoint)
    except UserError as error:
        raise UserError(f"resume={loaded.path}: {error}") from None
    steps = module.config.trainer.max_steps
    if loaded.updates >= steps and any(word.startswith("trainer.max_steps=") for word in overrides):
        raise UserError(f"trainer.max_steps={steps}: this run has done {loaded.updates}; allowed: more than that")
    over = loaded.updates >= steps or module.solved
    new = next((word for word in overrides if word.startswith("run_dir=")), None)
    if over and new is not None:
        raise UserError(f"{new}: nothing would be trained there, {how_it_is_over(module)}; allowed: a run that is not over")
    return over


def stop(code: int, message: str, leave: Callable[[int], NoReturn] = sys.exit) -> NoReturn:
    """End the command early, with one line."""
    print(f"ntm.train: stopped {message}", file=sys.stderr, flush=True)
    leave(code)


def how_to_go_on(folder: Path) -> str:
    """What to type next, as far as there is something to go on from."""
    if not any((folder / name).is_file() for name in runs.NAMES[runs.LAST]):
        return "nothing was trained"
    return f"python -m ntm.train {quote(f'resume={folder}')} goes on"


def how_it_is_over(module: LitModel) -> str:
    """Why a run that was resumed makes no update."""
    if module.solved:
        return f"solved after {module.progress.updates} updates; trainer.stop_when_solved=false goes on"
    return f"all of its {module.progress.updates} updates are made; a larger trainer.max_steps goes on"


def summary(config: Config, module: LitModel, step: str, folder: Path, loaded: runs.Loaded | None) -> str:
    """What is about to be trained, in a few lines."""
    task = config.task
    parameters = sum(p.numel() for p in module.parameters())
    shortest, longest = task.lengths
    start = "" if loaded is None else f"\nresumed     {loaded.path}, update {loaded.updates}"
    start += "".join(f"\ndamaged     {reason}" for reason in (loaded.damaged if loaded is not None else ()))
    warmed = "" if config.curriculum.warmup is None else f"\nwarm-up     {config.curriculum.warmup.about}"
    device = "gpu" if device_of(config) == "gpu" else f"cpu, {config.trainer.threads} thread(s)"
    return (
        f"task        {name_of('task', task)}, lengths {shortest} to {longest}, supervision {task.claim}\n"
        f"model       {config.model.about}, {parameters:,} parameters\n"
        f"recipe      {config.recipe}{warmed}\n"
        f"device      {device}, {step}; seed {config.seed}; at most {config.trainer.max_steps} updates\n"
        f"run         {folder}{start}\n"
        f"TensorBoard tensorboard --logdir {quote(str(folder.parent))} --samples_per_plugin images=200"
    )


def device_of(config: Config) -> str:
    """Where Lightning will train: gpu or cpu."""
    return "gpu" if config.trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu"


def quiet() -> None:
    """Leave out what Lightning says to everybody; our own summary tells the rest."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.* is deprecated")  # Lightning's use of torch


def build_trainer(config: Config, cluster: ClusterEnvironment, folder: Path | None, console: Console, done: int) -> L.Trainer:
    """Lightning's trainer: one endless epoch, a rolling last.ckpt and the best by validation; no folder: nothing is written."""
    every = config.trainer.save_every
    logger: TensorBoardLogger | None = None
    callbacks: list[L.Callback] = [Saving(None, None, every)]
    if folder is not None:
        logger = TensorBoardLogger(folder, name="", version="", default_hp_metric=False, purge_step=done + 1)
        callbacks = [Bar(console), Probe(), Saving(folder / runs.LAST, folder / runs.BEST, every)]
    return L.Trainer(
        accelerator=config.trainer.accelerator,
        devices=config.trainer.devices,
        num_nodes=config.trainer.num_nodes,
        strategy="ddp" if config.trainer.processes > 1 else "auto",
        plugins=[cluster],
        max_steps=config.trainer.max_steps,
        val_check_interval=config.trainer.val_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        deterministic=True,
        logger=logger or False,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=config.trainer.log_every,
    )


def tell_results(console: Console, folder: Path, solved: bool) -> None:
    """Errors of the best checkpoint by length, beyond the trained ones too, and what to type next."""
    best = runs.read("run", folder / runs.BEST)
    tell_damaged(console, best)
    config, task = best.config, best.config.task
    results = [evaluate(best.model, task, n, config.trainer.val_sequences) for n in task.test_lengths]
    console.print(table(f"errors by length, trained on at most {task.lengths[1]}, {best.path}", results))
    longest = task.test_lengths[-1]
    go_on = " trainer.stop_when_solved=false" if solved else ""
    tell(
        console,
        f"next: tensorboard --logdir {quote(str(folder.parent))} --samples_per_plugin images=200\n"
        f"      python -m ntm.evaluate {quote(f'run={folder}')} lengths=[{longest},{2 * longest}] png=trace.png\n"
        f"      python -m ntm.train {quote(f'resume={folder}')} trainer.max_steps={2 * config.trainer.max_steps}{go_on}",
    )


if __name__ == "__main__":
    main()
    ends.too_late()
