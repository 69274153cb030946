"""Shared fixtures: one thread, and the command line called in this process as a user would call it."""

import sys
from pathlib import Path

import pytest
import torch

from ntm import certify, evaluate, multiply, study, train, turing
from ntm.command import defaults
from ntm.runs import RUN_KEYS

torch.set_num_threads(1)

COMMANDS = {
    "train": train.main,
    "evaluate": evaluate.main,
    "multiply": multiply.main,
    "turing": turing.main,
    "certify": certify.main,
    "study": study.main,
}

TINY = ["task=copy", "task.lengths=[1,3]", "task.val_lengths=[3,5]", "task.test_lengths=[3,4]", "task.probe_length=3"]
TINY += ["task.width=3", "model.slots=12", "model.slot_width=6", "model.controller.hidden=[16]"]
TINY += ["trainer.batch_size=4", "trainer.val_sequences=4", "trainer.val_every=5", "trainer.save_every=5"]

TINY_MUL = ["task=binary_mul", "task.lengths=[2,3]", "task.val_lengths=[3]", "task.test_lengths=[3]", "task.probe_length=2"]


def signal(output, picture, name=""):
    """The values of the one recorded signal of a picture whose name begins so."""
    (found,) = (s.values for s in output.signals if s.picture == picture and s.name.startswith(name))
    return found


def composed(*overrides):
    """The configuration as plain values, as the train command would compose it."""
    return {key: value for key, value in defaults("train", list(overrides)).items() if key not in RUN_KEYS}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `python -m ntm.<command> words...` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(command: str, *words: str) -> None:
        monkeypatch.setattr(sys, "argv", [f"ntm-{command}", *words])
        COMMANDS[command]()

    return call


@pytest.fixture
def refused(run, tmp_path, capsys):
    """Run a command that must refuse its words: exit code 2, one line, nothing written. Returns the line."""

    def call(command: str, *words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            run(command, *words)
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert list(tmp_path.iterdir()) == []
        return error

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """The folder of a short copy run of 10 updates, made once."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    patch = pytest.MonkeyPatch()
    patch.setattr(sys, "argv", ["ntm-train", *TINY, "trainer.max_steps=10", "trainer.log_every=1", f"run_dir={folder}"])
    train.main()
    patch.undo()
    return folder


@pytest.fixture(scope="session")
def traced(tmp_path_factory) -> Path:
    """The folder of a machine that learned binary_increment from traces, made once."""
    folder = tmp_path_factory.mktemp("traced") / "run"
    patch = pytest.MonkeyPatch()
    words = ["task=turing", "turing=binary_increment", "trainer.max_steps=600", "trainer.val_every=300", f"run_dir={folder}"]
    patch.setattr(sys, "argv", ["ntm-train", *words, "model.hidden=[32]"])
    train.main()
    patch.undo()
    return folder
