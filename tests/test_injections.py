"""NaN and inf put into one place of a run at one update, through the real command: undone, named, counted, and never saved."""

import io
import math
from pathlib import Path

import lightning as L
import pytest
import torch
from injections import MACHINES, MODELS, PLACES, WORDS, at_tick_3, expected, spoil
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ntm import UserError, files, load
from ntm.models.machine import memory
from ntm.training.module import LitModel
from tasks import Copy, Score

UPDATES = {2 * n + 2: place for n, place in enumerate(PLACES)}  # every second update; that of the first validation is one
INF = ["ntm_lstm", "tape_pair", "lstm", "transformer", "turing"]
STAY = [("gru", place) for place in PLACES if place not in ("memory", "weights")]
STAY += [("ntm", "memory"), ("ntm", "weights"), ("turing", "hidden")]


def train(run, monkeypatch, capsys, name, at, value, *words):
    """Run the command with an injection before the updates that `at` names; returns its exit code and what it said."""
    update = LitModel.update

    def injecting(self, draw, optimizer):
        place = at(self.progress.updates + 1)
        if place is None or expected(name, place, self.model) is None:
            return update(self, draw, optimizer)
        draw, undo = spoil(place, self, draw, value)
        with undo:
            return update(self, draw, optimizer)

    monkeypatch.setattr(LitModel, "update", injecting)
    return command(run, capsys, *WORDS[name], "run_dir=run", *words)


def command(run, capsys, *words):
    """Run the train command; returns its exit code and what it said."""
    code = 0
    try:
        run("train", *words)
    except SystemExit as ended:
        code = ended.code
    return code, capsys.readouterr().err


def told(folder="run"):
    """What TensorBoard shows as the offender, by update."""
    events = EventAccumulator(folder, size_guidance={"tensors": 0}).Reload()
    tag = "grad/first_offender/text_summary"
    found = events.Tensors(tag) if tag in events.Tags()["tensors"] else []
    return {event.step: event.tensor_proto.string_val[0].decode() for event in found}


def all_finite(folder="run"):
    """The checkpoints in a folder by name, each looked through, weights and moments."""
    found = {path.name: torch.load(path, weights_only=True) for path in Path(folder).glob("*.ckpt")}
    for checkpoint in found.values():
        assert files.not_finite(checkpoint) is None
        assert checkpoint["state_dict"]
        assert all((state["exp_avg_sq"] >= 0).all() for state in checkpoint["optimizer_states"][0]["state"].values() if state)
    return found


ALL = {"last.ckpt", "last.before.ckpt", "best.ckpt"}


@pytest.mark.parametrize(("name", "value"), [(name, math.nan) for name in MODELS] + [(name, math.inf) for name in INF])
def test_every_place_is_undone_named_and_counted(run, monkeypatch, capsys, name, value):
    every = ["trainer.max_steps=19", "trainer.val_every=6", "trainer.save_every=1"]
    assert train(run, monkeypatch, capsys, name, UPDATES.get, value, *every) == (0, "")
    model, _ = load("run")
    causes = {at: expected(name, place, model) for at, place in UPDATES.items() if expected(name, place, model)}
    assert len(causes) == (8 if name in MACHINES else 7)
    assert told() == causes
    found = all_finite()
    assert {"last.ckpt", "last.before.ckpt", "best.ckpt"} <= found.keys()
    skips = found["last.ckpt"]["ntm"]["skips"]
    assert skips == {"total": len(causes), "in_a_row": 0, "offender": causes[max(causes)]}


@pytest.mark.parametrize(("name", "place"), STAY)
def test_what_stays_ends_the_run_in_one_line(run, monkeypatch, capsys, name, place):
    stay = ["trainer.max_steps=12", "trainer.val_every=2", "optimizer.max_skips=3"]
    code, line = train(run, monkeypatch, capsys, name, lambda update: place if update > 3 else None, math.nan, *stay)
    cause = expected(name, place, load("run")[0])
    assert (code, line.count("\n")) == (1, 1)
    assert f"update 6: 3 updates in a row were skipped, not finite: {cause}; " in line
    found = all_finite()
    assert found["last.ckpt"]["ntm"]["skips"] == {"total": 3, "in_a_row": 3, "offender": cause}
    assert found.keys() >= {"best.ckpt"}
    assert told() == dict.fromkeys((4, 5, 6), cause)


def negative(lit):
    """The sign of one second moment flips."""
    *_, (_, last) = lit.model.named_parameters()
    lit.kept.optimizer.state[last]["exp_avg_sq"].view(-1)[0] = -1.0


def no_number(lit):
    """One weight is no number any more."""
    lit.model.output.weight.data[0, 0] = math.nan


@pytest.mark.parametrize(("harm", "cause"), [(no_number, "weight output.weight"), (negative, "negative exp_avg_sq output.bias")])
@pytest.mark.parametrize("moment", ["in a validation", "at a write", "at the end"])
def test_between_updates_too(run, monkeypatch, capsys, moment, harm, cause):
    owner, name = {
        "in a validation": (LitModel, "validation_step"),
        "at a write": (TensorBoardLogger, "save"),  # the last thing before a checkpoint is made
        "at the end": (L.Trainer, "fit"),
    }[moment]
    function, done, seen = getattr(owner, name), [], []
    monkeypatch.setattr(LitModel, "setup", lambda self, stage: seen.append(self))

    def harming(*given, **named):
        made = function(*given, **named)
        if not done and (seen[0].progress.updates == 5 or moment == "at the end"):
            done.append(harm(seen[0]))
        return made

    monkeypatch.setattr(owner, name, harming)
    words = [*WORDS["gru"], "trainer.max_steps=12", "trainer.save_every=1", "run_dir=run"]
    words += ["trainer.val_every=6"] if moment == "at a write" else []
    assert command(run, capsys, *words) == (0, "")
    found = all_finite()
    assert done == [None]
    assert found["last.ckpt"]["ntm"]["skips"] == {"total": 1, "in_a_row": 0, "offender": cause}
    assert moment == "at the end" or set(told().values()) == {cause}


@pytest.mark.parametrize("bit", [31, 30, 23, 0], ids=["sign", "exponent", "lowest of exponent", "lowest"])
def test_a_flipped_bit_of_a_second_moment(run, monkeypatch, capsys, bit):
    update = LitModel.update

    def flipping(self, draw, optimizer):
        if self.progress.updates == 4:
            *_, (_, last) = self.model.named_parameters()
            self.kept.optimizer.state[last]["exp_avg_sq"].view(torch.int32)[0] ^= torch.tensor(1 << bit).to(torch.int32)
        return update(self, draw, optimizer)

    monkeypatch.setattr(LitModel, "update", flipping)
    assert command(run, capsys, *WORDS["gru"], "trainer.max_steps=12", "trainer.save_every=1", "run_dir=run") == (0, "")
    skips = all_finite()["last.ckpt"]["ntm"]["skips"]
    assert skips["total"] == (bit == 31)
    assert told() == ({5: "negative exp_avg_sq output.bias, after the update"} if bit == 31 else {})


def test_a_flipped_sign_of_a_count(run, monkeypatch, capsys):
    update = LitModel.update

    def flipping(self, draw, optimizer):
        if self.progress.updates == 4:
            *_, (_, last) = self.model.named_parameters()
            self.kept.optimizer.state[last]["step"].neg_()  # torch's Adam raises then
        return update(self, draw, optimizer)

    monkeypatch.setattr(LitModel, "update", flipping)
    assert command(run, capsys, *WORDS["gru"], "trainer.max_steps=12", "run_dir=run") == (0, "")
    assert all_finite()["last.ckpt"]["ntm"]["skips"] == {"total": 1, "in_a_row": 0, "offender": "negative step output.bias"}
    assert told() == {5: "negative step output.bias"}


def test_a_moment_that_is_spoilt_in_its_copy_too_ends_the_run_and_is_not_saved(run, monkeypatch, capsys):
    update = LitModel.update

    def flipping(self, draw, optimizer):
        if self.progress.updates == 7:
            negative(self)
            self.kept.keep(self.kept.copy(), self.progress)
        return update(self, draw, optimizer)

    monkeypatch.setattr(LitModel, "update", flipping)
    code, line = command(run, capsys, *WORDS["ntm"], "trainer.max_steps=12", "optimizer.max_skips=2", "run_dir=run")
    assert (code, line.count("\n")) == (1, 1)
    assert "update 9: 2 updates in a row were skipped, not finite: negative exp_avg_sq output.bias" in line
    assert all_finite()["last.ckpt"]["ntm"]["updates"] == 5
    monkeypatch.setattr(LitModel, "update", update)
    assert command(run, capsys, "resume=run") == (0, "")


def test_a_validation_that_is_no_number_picks_no_best_and_solves_nothing(run, monkeypatch, capsys):
    monkeypatch.setattr(Copy, "score", lambda self, logits, batch: Score(torch.zeros(len(logits)), batch.mask.sum(1)))
    step, show = LitModel.validation_step, LitModel.show

    def within(function):
        def spoiling(*given):
            with at_tick_3(memory, "add", (-1, 1, 2), math.inf):
                return function(*given)

        return spoiling

    monkeypatch.setattr(LitModel, "validation_step", within(step))
    monkeypatch.setattr(LitModel, "show", within(show))
    solve = ["trainer.stop_when_solved=true", "trainer.val_patience=1", "trainer.max_steps=12", "run_dir=run"]
    assert command(run, capsys, *WORDS["ntm"], *solve) == (0, "")
    found = all_finite()
    assert found.keys() == {"last.ckpt", "last.before.ckpt"}
    assert found["last.ckpt"]["ntm"]["updates"] == 12


def resealed(checkpoint, path):
    """A checkpoint written around every check."""
    written = io.BytesIO()
    torch.save(checkpoint, written)
    path.write_bytes(files.sealed(written.getvalue()))


@pytest.mark.parametrize(
    ("kind", "value"), [("weight", math.nan), ("exp_avg", math.inf), ("exp_avg_sq", math.nan), ("exp_avg_sq", -1)]
)
def test_a_checkpoint_with_such_a_number_is_refused_in_one_line(run, capsys, trained, tmp_path, kind, value):
    checkpoint = torch.load(trained / "last.ckpt", weights_only=True)
    place, key = ("state_dict", "model.output.bias") if kind == "weight" else ("optimizer_states", kind)
    tensors = checkpoint["state_dict"] if kind == "weight" else checkpoint["optimizer_states"][0]["state"][0]
    tensors[key].view(-1)[0] = value
    resealed(checkpoint, tmp_path / "spoilt.ckpt")
    what = f"negative {kind}" if value == -1 else f"a number in it is not finite: {place}"
    words = [("train", "resume=spoilt.ckpt"), ("train", "resume=spoilt.ckpt", "run_dir=run")]
    for name, *given in words if value == -1 else [*words, ("evaluate", "run=spoilt.ckpt")]:
        with pytest.raises(SystemExit) as ended:
            run(name, *given, *(["trainer.max_steps=20"] if name == "train" else []))
        line = capsys.readouterr().err
        assert (ended.value.code, line.count("\n")) == (2, 1)
        assert "spoilt.ckpt" in line
        assert what in line
    if value != -1:
        with pytest.raises(UserError, match="not finite"):
            load("spoilt.ckpt")
    assert {path.name for path in tmp_path.iterdir()} <= {"spoilt.ckpt", ".lock"}
