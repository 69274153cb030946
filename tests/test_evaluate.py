"""The evaluate command: the table, the json, the picture, and its own user's mistakes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import composed
from PIL import Image
from test_train import refused

from ntm import runs
from ntm.config import build, parse
from ntm.evaluate import Result, evaluate, none_wrong_at
from ntm.models import Recurrent
from tasks.operands import SETS


def test_json_and_png(run, trained, capsys):
    run("evaluate", f"run={trained}", "lengths=[2,7]", "sequences=5", "json=table.json", "png=trace.png")
    report = json.loads(Path("table.json").read_text())
    assert report["run"] == str(trained / "best.ckpt")
    assert report["task"] == "copy"
    assert report["supervision"] == "output"
    assert report["model"]["slots"] == 12
    assert [r["length"] for r in report["results"]] == [2, 7]
    assert all({"sequences", "bit_errors", "wrong_sequences", "seconds"} <= r.keys() for r in report["results"])
    with Image.open("trace.png") as image:
        assert image.width > 300
    assert "wrong sequences" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["json={own}"], ["png={own}"], ["json=one", "png=one"]])
def test_no_weights_are_written_over_and_no_file_twice(run, trained, capsys, tmp_path_factory, words):
    own = tmp_path_factory.mktemp("own") / "best.ckpt"
    shutil.copy(trained / "best.ckpt", own)
    line = refused(run, capsys, "evaluate", f"run={own}", *(word.format(own=own) for word in words))
    assert line.rstrip().endswith("allowed: another file")
    assert own.read_bytes() == (trained / "best.ckpt").read_bytes()


def test_last_run_and_default_lengths(run, trained, capsys):
    Path("checkpoints/copy").mkdir(parents=True)
    Path("checkpoints/copy/one").symlink_to(trained)
    run("evaluate", "run=last", "json=table.json", "sequences=2")
    assert [r["length"] for r in json.loads(Path("table.json").read_text())["results"]] == [3, 4]


def test_errors_are_counted_as_the_task_counts_them(trained):
    loaded = runs.read("run", trained / "last.ckpt")
    task = loaded.config.task
    result = evaluate(loaded.model, task, 4, 40, seed=1)
    errors = wrong = 0
    for first, size in ((0, 32), (32, 8)):
        batch = task.batch(1, "test", first, size, (4, 4))
        answers = loaded.model(batch.inputs, room=16).logits > 0
        missed = (answers != batch.targets.bool()) & (batch.mask > 0)[..., None]
        errors += int(missed.sum())
        wrong += int(missed.flatten(1).any(1).sum())
    assert (result.bit_errors, result.wrong_sequences) == (errors, wrong)
    assert result.bits == 40 * 4 * 3


def test_more_slots_are_found_for_a_length_that_needs_them(trained):
    loaded = runs.read("run", trained / "last.ckpt")
    model, task, seen = loaded.model, loaded.config.task, []
    start = model.cell.initial_state
    model.cell.initial_state = lambda batch, room=None: seen.append(room) or start(batch, room)
    with torch.no_grad():
        evaluate(model, task, 3, 1)
        evaluate(model, task, 50, 1)
        evaluate(model, task, 3, 1, room=99)
    assert seen == [14, 108, 99]


@pytest.mark.parametrize("key", ["room", "slots"])
def test_room_by_either_name(run, trained, monkeypatch, key):
    asked = []
    forward = Recurrent.forward
    monkeypatch.setattr(Recurrent, "forward", lambda *a, room=None, **k: asked.append(room) or forward(*a, room=room, **k))
    run("evaluate", f"run={trained}", "lengths=[3]", "sequences=2", f"{key}=77")
    assert asked == [64, 128, 77]  # two sizes to see what a state takes, and then the run


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("lengths=[]", ["lengths=[]", "at least 1"]),
        ("lengths=[2.5]", ["lengths.0=2.5", "integer"]),
        ("lengths=[two]", ["lengths.0=two", "integer"]),
        ("lengths=[0]", ["lengths.0=0", "greater than or equal to 1"]),
        ("lengths=5", ["lengths=5", "a list"]),
        ("room=2", ["room=2", "too few for length"]),
        ("room=some", ["room=some", "integer"]),
        ("slots=2", ["slots=2", "too few for length"]),
        ("slots=some", ["slots=some", "integer"]),
        ("sequences=0", ["sequences=0", "greater than or equal to 1"]),
        ("discrete=some", ["discrete=some", "allowed: auto, true or false"]),
        ("operands=all", ["operands=all", "a task without sets of operands", "allowed: null"]),
        ("json=no/such/folder.json", ["json=no/such/folder.json", "cannot be written"]),
        ("png=/proc/x.png", ["png=/proc/x.png", "cannot be written"]),
        ("bogus=1", ["bogus=1", "no such key"]),
        ("model=lstm", ["model=lstm", "no such key", "lengths"]),
    ],
)
def test_a_mistake_gets_one_line(run, capsys, trained, word, named):
    line = refused(run, capsys, "evaluate", f"run={trained}", word)
    assert all(part in line for part in named), line


ADD = ["task=binary_add", "task.lengths=[1,3]", "task.val_lengths=[3]", "task.test_lengths=[3]", "task.probe_length=2"]
ADD += ["model.slots=12", "trainer.batch_size=4", "trainer.val_sequences=2", "trainer.val_every=2", "trainer.max_steps=2"]


def test_sets_of_operands(run, capsys):
    run("train", *ADD, "run_dir=run", "task.operands=ones")
    words = ["evaluate", "run=run", "lengths=[2,9]", "sequences=20", "json=table.json"]
    loaded = runs.read("run", Path("run/best.ckpt"))
    for asked, names in (("all", list(SETS)), ("[small,ones,small]", ["small", "ones"]), ("powers", ["powers"])):
        capsys.readouterr()
        run(*words, f"operands={asked}")
        out, report = capsys.readouterr().out, json.loads(Path("table.json").read_text())
        assert [(r["length"], r["operands"]) for r in report["results"]] == [(n, name) for n in (2, 9) for name in names]
        assert "operands" in out
        assert all(f"│ {name} " in out for name in names)
        right = report["none_wrong_at"]
        assert f"largest length up to which no sequence was wrong: {right or 'none'} (20 of each of {len(names)} sets" in out
        for r in report["results"]:
            expected = evaluate(loaded.model, replace(loaded.config.task, operands=r["operands"]), r["length"], 20)
            assert (r["bit_errors"], r["wrong_sequences"]) == (expected.bit_errors, expected.wrong_sequences)
    run(*words)
    out, report = capsys.readouterr().out, json.loads(Path("table.json").read_text())
    assert "operands" not in out
    assert not any("operands" in r for r in report["results"])
    assert report["results"][1]["bit_errors"] == evaluate(loaded.model, loaded.config.task, 9, 20).bit_errors


@pytest.mark.parametrize(
    ("asked", "key", "allowed"),
    [
        ("odd", "operands=odd", "allowed: mixed, uniform, sparse, dense, ones"),
        ("[ones,odd]", "operands.1=odd", "allowed: mixed, uniform, sparse, dense, ones"),
        ("5", "operands=5", "allowed: mixed"),
        ("[]", "operands=[]", "at least 1"),
    ],
)
def test_a_set_that_is_none_is_told_what_there_is(run, capsys, tmp_path_factory, asked, key, allowed):
    folder = tmp_path_factory.mktemp("add") / "run"
    run("train", *ADD, f"run_dir={folder}")
    capsys.readouterr()
    line = refused(run, capsys, "evaluate", f"run={folder}", f"operands={asked}")
    assert key in line
    assert allowed in line


def result(length, wrong):
    return Result(length, 10, wrong, 100, wrong, 0.0)


@pytest.mark.parametrize(
    ("results", "largest"),
    [
        ([(8, 0), (16, 0)], 16),
        ([(8, 0), (8, 1), (4, 0), (16, 2)], 4),
        ([(16, 0), (8, 1), (16, 0)], None),
        ([(8, 1)], None),
    ],
)
def test_the_largest_length_up_to_which_no_sequence_of_any_set_was_wrong(results, largest):
    assert none_wrong_at([result(*r) for r in results]) == largest


def test_no_run_yet(run, capsys):
    assert "run=last: no run" in refused(run, capsys, "evaluate")


@pytest.mark.parametrize("choice", ["ntm", "ntm_lstm", "tape", "tape_pair", "gru", "transformer"])
def test_a_run_in_pieces_is_the_run(choice):
    config = parse(composed("task=copy", f"model={choice}", "task.lengths=[1,9]"))
    torch.manual_seed(0)
    model, task = build(config), config.task
    batch = task.batch(0, "test", 0, 3, (5, 9))
    room = model.room_for(task.room(9))
    with torch.no_grad():
        whole = model(batch.inputs, batch.ticks, room=room)
        torch.testing.assert_close(model.logits(batch, room), whole.logits)
        shown = model.show(task, "test", 0, 9, 40 if room else None)
        recorded = model(shown.batch.inputs, shown.batch.ticks, room=40 if room else None, record=True)
    assert len(shown.output.signals) == len(recorded.signals) > 0
    for part, full in zip(shown.output.signals, recorded.signals):
        assert part[:3] == full[:3]
        if full.columns is None:
            torch.testing.assert_close(part.values, full.values)
        else:
            assert part.ticks == (9, 18)  # after the nine vectors and the delimiter, and at the end
            torch.testing.assert_close(part.values, full.values[:, [9, 18]])
            torch.testing.assert_close(part.at(18), full.at(18))
