"""python -m ntm.train task=binary_mul [resume=last] [group=choice ...] [key=value ...]: train a model on a task."""

import copy
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from ntm import runs
from ntm.command import command
from ntm.config import SHORT, Config, name_of, parse, plain
from ntm.errors import UserError
from ntm.evaluate import evaluate, table
from ntm.training.data import TaskData
from ntm.training.module import LitModel, NonFiniteError
from ntm.training.saving import Last
from ntm.views.callbacks import Bar, Probe

KEPT = ("task", "model", "seed")
"""What a resumed run may not change: it would no longer be the same run."""

CHANGEABLE = ("optimizer", "curriculum", "trainer")
"""What it may."""


@command("train")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check everything, then make the run's folder, train, and show what was learned."""
    config = parse({key: value for key, value in values.items() if key not in runs.RUN_KEYS})
    run_dir, resume = values["run_dir"], values["resume"]
    loaded = None
    if resume is not None:
        task = next((word.removeprefix("task=") for word in overrides if word.startswith("task=")), None)
        loaded = runs.read("resume", runs.find("resume", str(resume), prefer="last.ckpt", task=task))
        config = parse(resumed(loaded.raw, plain(config), overrides))
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer.accelerator=gpu: torch finds no GPU here; allowed: auto, cpu")
    L.seed_everything(config.seed, verbose=False)
    torch.set_num_threads(config.trainer.threads)
    module = LitModel(config)
    if loaded is not None and loaded.updates >= config.trainer.max_steps:
        steps = config.trainer.max_steps
        raise UserError(f"trainer.max_steps={steps}: this run has done {loaded.updates}; allowed: more than that")
    folder = (
        loaded.path.parent
        if loaded is not None and run_dir is None
        else runs.new_folder(name_of("task", config.task), None if run_dir is None else str(run_dir))
    )
    runs.save_config(folder, plain(config))

    console = Console()
    console.print(summary(config, module, folder, loaded), highlight=False, soft_wrap=True, markup=False)
    quiet()
    trainer = build_trainer(config, folder, console, 0 if loaded is None else loaded.updates)
    data = TaskData(config, lambda: module.progress)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=None if loaded is None else str(loaded.path))
    except NonFiniteError as error:
        print(f"ntm.train: stopped: {error}; the weights before it are in {folder / 'last.ckpt'}", file=sys.stderr)
        sys.exit(1)
    trainer.save_checkpoint(folder / "last.ckpt")
    tell_results(console, folder)


def resumed(saved: dict[str, Any], composed: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The saved configuration with what the command line changed; raises UserError for what a run must keep."""
    raw = copy.deepcopy(saved)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        section, *rest = SHORT.get(key, key).split(".")
        if section in runs.RUN_KEYS or section.startswith("hydra"):
            continue
        if key == "task":
            rest = ["name"]
        if section in KEPT:
            kept = value_at(saved, section, rest)
            if value_at(composed, section, rest) != kept:
                kept = "what it was trained with" if isinstance(kept, dict) else kept
                raise UserError(f"{override}: a resumed run keeps its {SHORT.get(key, section)}; allowed: {kept}")
        elif section not in CHANGEABLE:
            raise UserError(f"{override}: cannot be changed when resuming; allowed: keys of {', '.join(CHANGEABLE)}")
        elif rest:
            value_at(raw, section, rest[:-1])[rest[-1]] = value_at(composed, section, rest)
        else:
            raw[section] = composed[section]
    return raw


def value_at(values: dict[str, Any], section: str, path: list[str]) -> Any:
    """The value of a dotted key, None where it does not exist."""
    found: Any = values.get(section)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def summary(config: Config, module: LitModel, folder: Path, loaded: runs.Loaded | None) -> str:
    """What is about to be trained, in a few lines."""
    task = config.task
    parameters = sum(p.numel() for p in module.parameters())
    shortest, longest = task.lengths
    start = "" if loaded is None else f"\nresumed     {loaded.path}, update {loaded.updates}"
    device = (
        "gpu" if config.trainer.accelerator != "cpu" and torch.cuda.is_available() else f"cpu, {config.trainer.threads} thread(s)"
    )
    return (
        f"task        {name_of('task', task)}, lengths {shortest} to {longest}, supervision {task.claim}\n"
        f"model       {config.model.about}, {parameters:,} parameters\n"
        f"recipe      {config.recipe}\n"
        f"device      {device}; seed {config.seed}; at most {config.trainer.max_steps} updates\n"
        f"run         {folder}{start}\n"
        f"TensorBoard tensorboard --logdir {folder.parent} --samples_per_plugin images=200"
    )


def quiet() -> None:
    """Leave out what Lightning says to everybody; our own summary tells the rest."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for expected in (
        "Checkpoint directory .* exists and is not empty",  # it holds config.yaml, or is a resumed run's
        "The dirpath has changed",  # resumed into a new folder, where the best starts anew
        ".*isinstance.treespec, LeafSpec.* is deprecated",  # Lightning's use of torch
    ):
        warnings.filterwarnings("ignore", message=expected)


def build_trainer(config: Config, folder: Path, console: Console, done: int) -> L.Trainer:
    """Lightning's trainer: one endless epoch, a rolling last.ckpt and the best.ckpt by validation."""
    best = ModelCheckpoint(folder, "best", monitor="val/selection", mode="min", save_top_k=1, enable_version_counter=False)
    last = Last(folder / "last.ckpt", config.trainer.save_every, config.trainer.val_every)
    return L.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        max_steps=config.trainer.max_steps,
        val_check_interval=config.trainer.val_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        deterministic=True,
        logger=TensorBoardLogger(folder, name="", version="", default_hp_metric=False, purge_step=done + 1 if done else None),
        callbacks=[Bar(console), Probe(), best, last],
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=config.trainer.log_every,
    )


def tell_results(console: Console, folder: Path) -> None:
    """Errors of the best checkpoint by length, beyond the trained ones too, and what to type next."""
    path = runs.find("run", str(folder), prefer="best.ckpt")
    best = runs.read("run", path)
    config, task = best.config, best.config.task
    results = [evaluate(best.model, task, n, config.trainer.val_sequences) for n in task.test_lengths]
    console.print(table(f"errors by length, trained on at most {task.lengths[1]}, {path}", results))
    longest = task.test_lengths[-1]
    console.print(
        f"next: tensorboard --logdir {folder.parent} --samples_per_plugin images=200\n"
        f"      python -m ntm.evaluate run={folder} lengths=[{longest},{2 * longest}] png=trace.png\n"
        f"      python -m ntm.train resume={folder} trainer.max_steps={2 * config.trainer.max_steps}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


if __name__ == "__main__":
    main()
