"""The train command end to end: what a run leaves behind, that it learns, and every user's mistake."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import yaml
from conftest import TINY, signal

from ntm import UserError, load, runs
from ntm.training.module import LitModel
from ntm.words import CONFIG_DIR


def test_a_run_is_one_folder(trained):
    names = {path.name.split(".tfevents")[0] for path in trained.iterdir()}
    assert {"config.yaml", "last.ckpt", "best.ckpt", "events.out"} <= names
    assert yaml.safe_load((trained / "config.yaml").read_text())["task"]["width"] == 3


def test_a_checkpoint_is_plain_and_rebuilds_its_machine(trained):
    loaded = runs.read("run", trained / "best.ckpt")
    assert loaded.model.cell.access.start.slots == loaded.config.model.slots == 12
    saved = torch.load(trained / "best.ckpt", weights_only=True)
    assert torch.equal(loaded.model.output.weight, saved["state_dict"]["model.output.weight"])
    assert saved["ntm"]["updates"] in (5, 10)


def test_what_was_trained_is_loaded_in_python(trained):
    model, task = load(trained)
    batch = task.batch(seed=0, split="test", index=0, size=1, lengths=(3, 3))
    output = model(batch.inputs, batch.ticks, room=64, record=True)
    assert signal(output, "memory").shape[2] == 64
    assert task.show(batch.inputs[0], task.answer(output.logits[0])).split()[-1] in ("ok", "wrong")
    with pytest.raises(UserError, match="run=nowhere: no such file"):
        load("nowhere")


def test_start_and_end_tell_what_a_person_wants(run, capsys):
    run("train", *TINY, "trainer.max_steps=5")
    shown = capsys.readouterr().out
    for word in (
        "task",
        "model",
        "recipe      copy_ntm",
        "parameters",
        "12 slots x 6",
        "device",
        "tensorboard --logdir",
        "supervision output",
    ):
        assert word in shown
    for word in ("bit error", "solved length", "s left", "errors by length", "next:", "ntm.evaluate run=", "resume="):
        assert word in shown


def test_a_run_that_is_over_says_so_and_how_to_go_on(run, capsys, monkeypatch):
    run("train", *TINY, "trainer.max_steps=2", "run_dir=run")
    run("train", "resume=run")
    assert "all of its 2 updates are made; a larger trainer.max_steps goes on" in capsys.readouterr().out
    monkeypatch.setattr(LitModel, "solved", property(lambda self: self.config.trainer.stop_when_solved))
    run("train", "resume=run", "trainer.max_steps=4")
    shown = capsys.readouterr().out
    assert "solved after 2 updates; trainer.stop_when_solved=false goes on" in shown
    assert " trainer.stop_when_solved=false\n" in shown
    with pytest.raises(SystemExit):
        run("train", "resume=run", "run_dir=a new one")
    told = "run_dir=a new one: nothing would be trained there, solved after 2 updates"
    assert told in capsys.readouterr().err
    assert not Path("a new one").exists()
    run("train", "resume=run", "run_dir=a new one", "trainer.max_steps=4", "trainer.stop_when_solved=false")
    assert torch.load("a new one/last.ckpt", weights_only=True)["ntm"]["updates"] == 4
    assert "python -m ntm.evaluate 'run=a new one' lengths=" in capsys.readouterr().out


def test_a_second_run_never_overwrites_the_first(run):
    for _ in range(3):
        run("train", *TINY, "trainer.max_steps=1")
    assert len(list(Path("checkpoints/copy").iterdir())) == 3


def test_progress_bar_on_a_terminal(run, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    run("train", *TINY, "trainer.max_steps=10", "trainer.log_every=1", "curriculum.stages=[2,3]")
    shown = capsys.readouterr().out
    assert "10/10" in shown
    assert "ETA" in shown
    assert "stage 2" in shown


@pytest.mark.parametrize("task", ["repeat_copy", "binary_add", "binary_mul"])
def test_every_task_trains_by_its_own_recipe(run, task):
    lengths = ["task.lengths=[1,2]", "task.val_lengths=[2]", "task.test_lengths=[2]", "task.probe_length=2"]
    run("train", f"task={task}", *lengths, "trainer.max_steps=3", "trainer.batch_size=2", "trainer.val_every=3", "run_dir=run")
    assert Path("run/best.ckpt").exists()


@pytest.mark.parametrize("words", [["optimizer=rmsprop"], ["model=ntm_lstm"], ["model=tape"], ["optimizer.clip=value"]])
def test_recipes_and_machines_can_be_exchanged(run, words):
    small = [word for word in TINY if "controller" not in word] if "model" in words[0] else TINY
    run("train", *small, *words, "trainer.max_steps=2", "run_dir=run")
    assert Path("run/last.ckpt").exists()


def test_copy_is_learned_by_its_defaults(run):
    run("train", "task=copy", "run_dir=run")
    run("evaluate", "run=run", "lengths=[20,100]", "sequences=600", "json=table.json")
    assert [result["bit_errors"] for result in json.loads(Path("table.json").read_text())["results"]] == [0, 0]


def test_repeat_copy_is_learned_from_five_vectors_and_right_for_fifty(run):
    a_quarter = ["trainer.max_steps=2000", "optimizer.half_life=300"]
    run("train", "task=repeat_copy", "seed=1", *a_quarter, "run_dir=run")
    run("evaluate", "run=run", "lengths=[1,5,10,50]", "sequences=100", "json=table.json")
    assert [result["bit_errors"] for result in json.loads(Path("table.json").read_text())["results"]] == [0, 0, 0, 0]


ALLOWED = {  # words on the command line -> what the one line must name
    "task=bogus": ["task=bogus", "arithmetic, binary_add, binary_mul, clock, copy, digit_sum"],
    "model=bogus": ["model=bogus", "bilinear, deep_sets, dense, gru, lstm, multiply_cell, nac"],
    "machine=tape": ["machine=tape", "no such key", "model"],
    "recipe=bogus": ["recipe=bogus", "no such recipe", "copy_ntm", "neutral"],
    "model.name=bogus": [
        "model.name=bogus",
        "no such model",
        "bilinear, deep_sets, dense, machine, multiply_cell",
    ],
    "model.name=[1]": ["model.name=[1]", "no such model"],
    "model.controller.kind=bogus": ["model.controller.kind=bogus", "'feedforward', 'lstm'"],
    "curriculum.learned_below=2": ["curriculum.learned_below=2", "less than or equal to 1"],
    "optimizer=bogus": ["optimizer=bogus", "adam, rmsprop"],
    "bogus=3": ["bogus=3", "no such key"],
    "task.bogus=3": ["task.bogus=3", "no such key", "task.width"],
    "model.heads.reed=2": ["model.heads.reed=2", "no such key", "model.heads.read, model.heads.write"],
    "nothing.at.all=2": ["nothing.at.all=2", "no such key", "trainer, task", "seed"],
    "task=null": ["task=null", "must be given"],
    "task=5": ["task=5", "no such task", "copy"],
    "run_dir=": ["run_dir=", "must be given"],
    "~seed": ["seed=null", "must be given"],
    "task.name=juggle": ["task.name=juggle", "copy"],
    "trainer.accelerator=gpu": ["trainer.accelerator=gpu", "allowed: auto, cpu"],
    "seed=99999999999": ["seed=99999999999", "less than"],
    "+task.bogus=3": ["task.bogus=3", "no such key"],
    "+bogus=3": ["bogus=3", "no such key"],
    "model.read_heads=3": ["model.read_heads=3", "no such key"],
    "optimizer.lr=fast": ["optimizer.lr=fast", "number"],
    "optimizer.lr=-1": ["optimizer.lr=-1", "greater than 0"],
    "optimizer.lr=nan": ["optimizer.lr=nan", "finite"],
    "optimizer.clip=both": ["optimizer.clip=both", "'norm' or 'value'"],
    "trainer.mean_over=rows": ["trainer.mean_over=rows", "'bits' or 'sequences'"],
    "task.mixed_density=2": ["task.mixed_density=2", "less than or equal to 1"],
    "trainer.max_steps=1.5": ["trainer.max_steps=1.5", "integer"],
    "trainer.max_steps=0": ["trainer.max_steps=0", "greater than or equal to 1"],
    "trainer.max_steps=null": ["trainer.max_steps=None", "integer"],
    "trainer.stop_when_solved=perhaps": ["trainer.stop_when_solved=perhaps", "boolean"],
    "model.slots=-4": ["model.slots=-4", "greater than or equal to 1"],
    "model.slots=0": ["model.slots=0", "greater than or equal to 1"],
    "model.slots=many": ["model.slots=many", "integer"],
    "model.slots=3": ["model.slots=3", "too few for length 20", "at least 24"],
    "model.slot_width=0": ["model.slot_width=0", "greater than or equal to 1"],
    "model.shift_width=4": ["model.shift_width=4", "odd"],
    "model.shift_width=99": ["model.shift_width=99", "at most model.slots=32"],
    "model.controller.hidden=[]": ["model.controller.hidden=[]", "at least 1"],
    "model.heads.write=0": ["model.heads.write=0", "greater than or equal to 1"],
    "model.memory_init=zero": ["model.memory_init=zero", "'constant', 'learned' or 'random'"],
    "task.width=-8": ["task.width=-8", "greater than or equal to 1"],
    "task.lengths=[5,2]": ["task.lengths", "[5, 2]", "[shortest, longest]"],
    "task.lengths=[]": ["task.lengths"],
    "task.val_lengths=[]": ["task.val_lengths=[]", "at least 1"],
    "task.val_lengths=[a]": ["task.val_lengths.0=a", "integer"],
    "seed=-1": ["seed=-1", "greater than or equal to 0"],
    "seed=abc": ["seed=abc", "integer"],
    "curriculum.stages=[3,2]": ["curriculum.stages=[3, 2]", "rise"],
    "resume=nowhere": ["resume=nowhere", "no such file"],
    "resume=last": ["resume=last", "no run"],
    "run_dir=/proc/nowhere/run": ["run_dir=/proc/nowhere/run", "cannot be written"],
    "copy": ["copy"],
    "lengths=[1,": ["lengths=[1,"],
}


def refused(run, capsys, *words):
    """The one line of an error: exit code 2, no traceback, nothing written."""
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    assert stopped.value.code == 2
    assert list(Path().iterdir()) == []
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize("word", ALLOWED)
def test_a_mistake_gets_one_line(run, capsys, word):
    line = refused(run, capsys, "train", word)
    assert all(part in line for part in ALLOWED[word]), line


def test_a_run_folder_that_is_in_use_is_refused_and_kept(run, capsys, trained):
    before = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    line = refused(run, capsys, "train", *TINY, f"run_dir={trained}")
    assert "not empty" in line
    assert before == {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}


def test_a_file_in_place_of_the_run_folder(run, capsys, tmp_path_factory):
    file = tmp_path_factory.mktemp("other") / "file"
    file.write_text("mine")
    assert "cannot be written" in refused(run, capsys, "train", f"run_dir={file}/run")
    assert "cannot be written" in refused(run, capsys, "train", f"run_dir={file}")
    assert file.read_text() == "mine"


@pytest.mark.parametrize("command", ["train resume", "evaluate run"])
def test_broken_and_foreign_checkpoints(run, capsys, trained, tmp_path_factory, command):
    name, key = command.split()
    folder = tmp_path_factory.mktemp("broken")
    whole = (trained / "last.ckpt").read_bytes()
    (folder / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "text.ckpt").write_text("not a checkpoint")
    torch.save({"state_dict": {}, "epoch": 3}, folder / "foreign.ckpt")
    torch.save([1, 2, 3], folder / "list.ckpt")
    torch.save({"ntm": 3, "state_dict": 4}, folder / "liar.ckpt")
    torch.save({"ntm": {"config": {"task": {"name": "juggle"}}}, "state_dict": {}}, folder / "juggle.ckpt")
    torch.save({"ntm": {"config": {"task": {"name": "copy"}, "machine": {"slots": 32}}}, "state_dict": {}}, folder / "old.ckpt")
    assert "a checkpoint of version 0.1, whose machine= is model= now" in refused(run, capsys, name, f"{key}={folder}/old.ckpt")
    for file in ("cut", "empty", "text", "foreign", "list", "liar", "juggle"):
        line = refused(run, capsys, name, f"{key}={folder / file}.ckpt")
        assert f"{key}={folder / file}.ckpt" in line, line
        assert "allowed" in line
    (folder / "none").mkdir()
    assert "no checkpoint in this folder" in refused(run, capsys, name, f"{key}={folder / 'none'}")


def test_every_script_of_the_project_is_a_command():
    scripts = tomllib.loads((CONFIG_DIR.parent / "pyproject.toml").read_text())["project"]["scripts"]
    assert len(scripts) == 7
    for place in scripts.values():
        module, _, name = place.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_exit_code_of_the_real_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "ntm.train", "task=bogus"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("ntm.train: error: task=bogus")
    assert len(done.stderr.splitlines()) == 1


def test_print_the_configuration(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "ntm.train", "task=binary_mul", "--cfg", "job"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert yaml.safe_load(done.stdout)["model"]["heads"]["kind"] == "tape"
    assert os.listdir(tmp_path) == []


def test_a_loss_that_is_not_finite_ends_the_run_with_usable_weights(run, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("train", *TINY, "optimizer.lr=1e30", "optimizer.max_skips=3", "run_dir=run")
    assert stopped.value.code == 1
    message = capsys.readouterr().err
    assert "3 updates in a row were skipped" in message
    assert "optimizer.lr" in message
    assert len(message.splitlines()) == 1
    saved = torch.load("run/last.ckpt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in saved["state_dict"].values())
    assert saved["ntm"]["skips"]["in_a_row"] == 3
    shutil.rmtree("run")
