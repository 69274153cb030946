"""python -m ntm.train task=binary_mul [resume=last] [group=choice ...] [key=value ...]: train a machine on a task."""

import copy
import logging
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from ntm import runs
from ntm.callbacks import Bar, Probe
from ntm.command import command
from ntm.config import Config, UserError, parse
from ntm.data import TaskData
from ntm.evaluate import evaluate, table
from ntm.module import LitMachine, NonFiniteError
from ntm.turing.learn import LitTrace
from ntm.turing.load import fitted, plain, table_of

KEPT = ("task", "machine", "seed")
"""What a resumed run may not change: it would no longer be the same run."""


@command("train")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check everything, then make the run's folder, train, and show what was learned."""
    raw = {key: value for key, value in values.items() if key not in (*runs.RUN_KEYS, "turing")}
    run_dir, resume = values["run_dir"], values["resume"]
    loaded = None
    if resume is not None:
        task = next((word.removeprefix("task=") for word in overrides if word.startswith("task=")), None)
        loaded = runs.load("resume", runs.find("resume", str(resume), prefer="last.ckpt", task=task))
        raw = resumed(loaded.raw, raw, overrides)
    else:
        raw = with_table(raw, values.get("turing"))
    config = parse(raw)
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer.accelerator=gpu: torch finds no GPU here; allowed: auto, cpu")
    L.seed_everything(config.seed, verbose=False)
    torch.set_num_threads(config.trainer.threads)
    module = (LitTrace if config.task.traced else LitMachine)(config, raw)
    if loaded is not None and loaded.updates >= config.trainer.max_steps:
        steps = config.trainer.max_steps
        raise UserError(f"trainer.max_steps={steps}: this run has done {loaded.updates}; allowed: more than that")
    folder = (
        loaded.path.parent
        if loaded is not None and run_dir is None
        else runs.new_folder(raw["task"]["name"], None if run_dir is None else str(run_dir))
    )
    runs.save_config(folder, raw)

    console = Console()
    console.print(summary(config, module, folder, loaded), highlight=False, soft_wrap=True)
    quiet()
    trainer = build_trainer(config, folder, console, 0 if loaded is None else loaded.updates)
    try:
        trainer.fit(module, datamodule=TaskData(config, module), ckpt_path=None if loaded is None else str(loaded.path))
    except NonFiniteError as error:
        print(f"ntm.train: stopped: {error}; the weights before it are in {folder / 'last.ckpt'}", file=sys.stderr)
        sys.exit(1)
    trainer.save_checkpoint(folder / "last.ckpt")
    report(console, folder)


def with_table(raw: dict[str, Any], turing: str | None) -> dict[str, Any]:
    """The configuration of a new run, with the table that `turing=` names and the sizes that it asks for; raises UserError."""
    if raw["task"].get("name") == "turing":
        return fitted(raw if turing is None else {**raw, "task": {**raw["task"], "table": turing}})
    if turing is not None:
        raise UserError(f"turing={turing}: no such key of task={raw['task'].get('name')}; allowed: with task=turing")
    return raw


def resumed(saved: dict[str, Any], composed: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The saved configuration with what the command line changed; raises UserError for what a run must keep."""
    raw = copy.deepcopy(saved)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        section, *rest = key.split(".")
        if section in runs.RUN_KEYS or section.startswith("hydra"):
            continue
        if key == "task":
            section, rest = "task", ["name"]
        if key == "turing":
            if plain(table_of(key, override.partition("=")[2])) != saved["task"].get("table"):
                raise UserError(f"{override}: a resumed run keeps its table; allowed: the one it was trained with")
            continue
        if section in KEPT:
            if value_at(composed, section, rest) != value_at(saved, section, rest):
                kept = value_at(saved, section, rest) if rest or section == "seed" else "what it was trained with"
                raise UserError(f"{override}: a resumed run keeps its {section}; allowed: {kept}")
        elif section not in saved:
            raise UserError(f"{override}: cannot be changed when resuming; allowed: keys of {', '.join(saved)}")
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


def summary(config: Config, module: LitMachine, folder: Path, loaded: runs.Loaded | None) -> str:
    """What is about to be trained, in a few lines."""
    machine, task, name = config.machine, config.task, module.raw["task"]["name"]
    parameters = sum(p.numel() for p in module.parameters())
    shortest, longest = task.lengths
    start = "" if loaded is None else f"\nresumed     {loaded.path}, update {loaded.updates}"
    device = (
        "gpu" if config.trainer.accelerator != "cpu" and torch.cuda.is_available() else f"cpu, {config.trainer.threads} thread(s)"
    )
    return (
        f"task        {name}, lengths {shortest} to {longest}, supervision {task.claim}\n"
        f"machine     {machine.controller.kind} controller, {machine.heads.kind} heads, {parameters:,} parameters\n"
        f"memory      {machine.slots} slots x {machine.slot_width}\n"
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
    saving = partial(ModelCheckpoint, dirpath=folder, save_top_k=1, enable_version_counter=False)
    last = saving(filename="last", every_n_train_steps=config.trainer.save_every, save_on_exception=True)
    best = saving(filename="best", monitor="val/selection", mode="min")
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


def report(console: Console, folder: Path) -> None:
    """Errors of the best checkpoint by length, beyond the trained ones too, and what to type next."""
    path = runs.find("run", str(folder), prefer="best.ckpt")
    best = runs.load("run", path)
    config, task = best.config, best.config.task
    results = [evaluate(best.machine, task, n, config.trainer.val_sequences) for n in task.test_lengths]
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
