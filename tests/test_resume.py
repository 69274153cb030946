"""Resuming: bit-identical to a run that was never interrupted, and honest about what may change."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from apart import LONG, apart, code_of
from conftest import TINY, TINY_MUL

from ntm.training.module import LitModel
from ntm.training.saving import Saving

SMALL = [*TINY_MUL, "model=tape", "model.slots=12"]
SMALL += ["trainer.batch_size=4", "trainer.val_sequences=2", "trainer.val_every=4", "trainer.save_every=5"]
MUL = [*SMALL, "curriculum.stages=[1,2,6]", "curriculum.advance_below=0.6", "curriculum.least_batches=2"]
MUL += ["curriculum.noise_below=0.6", "curriculum.noise_above=0.9"]  # noise and every stage within a few updates
PRODUCT = [*SMALL, "recipe=binary_mul_tape_wide", "curriculum.stages=[2]"]
PRODUCT += ["curriculum.warmup.stages=[1]", "curriculum.warmup.advance_below=1", "curriculum.warmup.focused_below=1"]
PRODUCT += ["curriculum.least_batches=1", "curriculum.noise_updates=3", "curriculum.rounding_updates=9"]
PRODUCT += ["curriculum.noise_below=1", "curriculum.noise_above=1"]  # all of it within a few updates
PRUNED = [*PRODUCT, "curriculum.pruning_updates=2", "curriculum.noise_updates=1"]
PRODUCT += ["curriculum.pruning_updates=0"]
ANEW = [*PRUNED, "curriculum.patience_updates=6"]
BESIDE = [word for word in TINY if not word.startswith("model.")]
RECIPES = {
    "copy": TINY,
    "binary_mul": MUL,
    "products alone": PRODUCT,
    "products alone, pruned": PRUNED,
    "products alone, begun anew": ANEW,
    "copy, lstm": [*BESIDE, "model=lstm", "model.width=8"],
    "copy, transformer": [*BESIDE, "model=transformer", "model.width=8", "model.heads=2"],
}


def tensors(value, path=""):
    """Every tensor of a nested checkpoint, by its path."""
    if isinstance(value, torch.Tensor):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return {name: tensor for key, inner in items for name, tensor in tensors(inner, f"{path}/{key}").items()}


def same(one: Path, other: Path) -> bool:
    """Whether model, optimiser and counters of two checkpoints are equal bit by bit."""
    a, b = (torch.load(path, weights_only=True) for path in (one, other))
    for part in ("state_dict", "optimizer_states"):
        left, right = tensors(a[part]), tensors(b[part])
        assert left.keys() == right.keys()
        assert left
        if not all(torch.equal(left[name], right[name]) for name in left):
            return False
    return {**a["ntm"], "config": None} == {**b["ntm"], "config": None}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("at", [10, 7], ids=["at a save", "between saves"])
def test_straight_equals_stopped_and_resumed(run, name, at):
    run("train", *RECIPES[name], "trainer.max_steps=20", "run_dir=straight")
    run("train", *RECIPES[name], f"trainer.max_steps={at}", "run_dir=halves")
    run("train", "resume=halves", "trainer.max_steps=20")
    assert same(Path("straight/last.ckpt"), Path("halves/last.ckpt"))


def test_products_alone_get_to_the_last_phase_within_these_updates(run, capsys):
    run("train", *PRODUCT, "trainer.max_steps=12", "run_dir=run")
    progress = torch.load("run/last.ckpt", weights_only=True)["ntm"]["progress"]
    assert (progress["stage"], progress["noise"]) == (1, 2.0)
    assert 0 < progress["rounding"] < 1
    with pytest.raises(SystemExit):
        run("train", "resume=run", "curriculum.rounding_updates=0", "curriculum.proof=false", "trainer.max_steps=20")
    assert "curriculum.rounding_updates=0: this run has begun" in capsys.readouterr().err


def test_noise_that_is_in_full_after_a_validation_does_not_end_a_resumed_run(run):
    one = [
        "task=copy",
        "task.width=1",
        "task.lengths=[1,1]",
        "task.val_lengths=[1]",
        "task.test_lengths=[1]",
        "task.probe_length=1",
    ]
    one += ["trainer.val_sequences=1", "trainer.batch_size=8", "trainer.val_every=5", "trainer.val_patience=1", "seed=3"]
    one += ["curriculum.noise=0.1", "curriculum.noise_updates=12", "curriculum.noise_below=1", "curriculum.noise_above=1"]
    run("train", *one, "trainer.max_steps=40", "run_dir=straight")
    at = torch.load("straight/last.ckpt", weights_only=True)["ntm"]["updates"]
    assert at < 40, "it was solved"
    run("train", *one, f"trainer.max_steps={at - 2}", "run_dir=cut")
    run("train", "resume=cut", "trainer.max_steps=40")
    assert same(Path("straight/last.ckpt"), Path("cut/last.ckpt"))


@pytest.mark.parametrize("name", RECIPES)
def test_straight_equals_killed_and_resumed(run, name):
    words = [*RECIPES[name], "trainer.max_steps=60", "trainer.stop_when_solved=false"]
    run("train", *words, "run_dir=straight")
    with apart("train", *words) as process:
        deadline = time.monotonic() + LONG
        while not list(Path("checkpoints").glob("*/*/last.ckpt")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.join()
    (killed,) = Path("checkpoints").glob("*/*")
    assert torch.load(killed / "last.ckpt", weights_only=True)["ntm"]["updates"] < 60
    run("train", words[0], "resume=last")
    assert same(Path("straight/last.ckpt"), killed / "last.ckpt")


def kill_at(owner, name, update, after):
    """Have this process killed where a method is called, or has been, at this update."""
    method = getattr(owner, name)

    def killing(self, *args):
        there = (self if isinstance(self, LitModel) else args[1]).progress.updates == update
        if there and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        made = method(self, *args)
        if there:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    setattr(owner, name, killing)


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (Saving, "on_train_batch_end", True),  # after the update, before its validation
        (LitModel, "validation_step", True),  # in the middle of it
        (LitModel, "on_validation_epoch_end", True),  # when it has moved the rate, and nothing is written yet
        (Saving, "on_validation_end", False),  # when the best is written, and the last is not
        (Saving, "on_validation_end", True),  # when everything is
    ],
)
@pytest.mark.parametrize("update", [10, 15])
def test_a_kill_around_a_validation_loses_nothing(run, owner, name, after, update):
    words = [*TINY, "trainer.max_steps=25", "trainer.stop_when_solved=false"]
    words += ["curriculum.learned_below=0.6", "optimizer.half_life=3"]  # the first validation starts the decay of the rate
    run("train", *words, "run_dir=straight")
    with apart("train", *words, "run_dir=killed", prepare=partial(kill_at, owner, name, update, after)) as process:
        assert code_of(process) == -signal.SIGKILL
    run("train", "resume=killed")
    assert same(Path("straight/last.ckpt"), Path("killed/last.ckpt"))
    assert same(Path("straight/best.ckpt"), Path("killed/best.ckpt"))


def test_an_exception_inside_an_update_loses_nothing(run, monkeypatch):
    step = LitModel.training_step

    def fail(self, draw, index):
        if self.progress.updates == 8:
            raise KeyError("the power went out")
        return step(self, draw, index)

    with monkeypatch.context() as patch:
        patch.setattr(LitModel, "training_step", fail)
        with pytest.raises(KeyError):
            run("train", *TINY, "trainer.max_steps=12", "run_dir=broken")
    assert torch.load("broken/last.ckpt", weights_only=True)["ntm"]["updates"] == 8
    run("train", "resume=broken")
    run("train", *TINY, "trainer.max_steps=12", "run_dir=straight")
    assert same(Path("straight/last.ckpt"), Path("broken/last.ckpt"))


def test_events_of_a_resumed_run_go_on_in_the_same_folder(run):
    run("train", *TINY, "trainer.max_steps=5", "run_dir=run")
    run("train", "resume=run", "trainer.max_steps=10")
    assert len(list(Path("run").glob("events*"))) == 2
    assert torch.load("run/last.ckpt", weights_only=True)["ntm"]["updates"] == 10


def test_resuming_into_a_new_folder_leaves_the_first_alone(run, trained):
    before = (trained / "last.ckpt").read_bytes()
    run("train", f"resume={trained}/last.ckpt", "run_dir=fork", "trainer.max_steps=15")
    assert (trained / "last.ckpt").read_bytes() == before
    assert torch.load("fork/last.ckpt", weights_only=True)["ntm"]["updates"] == 15


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["model.slots=64", "trainer.max_steps=20"], ["model.slots=64", "12"]),
        (["task=binary_mul", "trainer.max_steps=20"], ["task=binary_mul", "copy"]),
        (["seed=5", "trainer.max_steps=20"], ["seed=5", "0"]),
        (["trainer.max_steps=10"], ["trainer.max_steps=10", "has done 10"]),
        (["trainer.max_steps=-3"], ["trainer.max_steps=-3", "greater than or equal to 1"]),
    ],
)
def test_what_a_resumed_run_may_not_change(run, capsys, trained, words, named):
    before = sorted(path.name for path in trained.iterdir())
    with pytest.raises(SystemExit) as stopped:
        run("train", f"resume={trained}", *words)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(part in line for part in named), line
    assert sorted(path.name for path in trained.iterdir()) == before
