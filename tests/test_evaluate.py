"""The evaluate command: the table, the json, the picture, and its own user's mistakes."""

import json
from pathlib import Path

import pytest
import torch
from conftest import composed
from PIL import Image
from test_train import refused

from ntm import runs
from ntm.config import build, parse
from ntm.evaluate import evaluate
from ntm.models import Recurrent


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
        ("json=no/such/folder.json", ["json=no/such/folder.json", "cannot be written"]),
        ("png=/proc/x.png", ["png=/proc/x.png", "cannot be written"]),
        ("bogus=1", ["bogus=1", "no such key"]),
        ("model=lstm", ["model=lstm", "no such key", "lengths"]),
    ],
)
def test_a_mistake_gets_one_line(run, capsys, trained, word, named):
    line = refused(run, capsys, "evaluate", f"run={trained}", word)
    assert all(part in line for part in named), line


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
