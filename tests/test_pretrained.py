"""Weights that come with the project: small, right, found by their name, and never trained on in place."""

import json
import shutil
from pathlib import Path

import pytest

from ntm import files

SHIPPED = Path(__file__).parents[1] / "checkpoints" / "pretrained"
NAMES = sorted(path.stem for path in SHIPPED.glob("*.ckpt"))


@pytest.fixture
def here(run):
    """The command in a folder with the shipped weights."""
    shutil.copytree(SHIPPED, "checkpoints/pretrained")
    return run


def test_these_tasks_have_some():
    assert NAMES == ["binary_add", "binary_mul", "clock", "copy", "repeat_copy"]


@pytest.mark.parametrize("name", NAMES)
def test_they_are_small_and_right_as_judged_beyond_what_they_were_trained_on(here, name):
    assert (SHIPPED / f"{name}.ckpt").stat().st_size < 1_000_000
    here("evaluate", f"run=pretrained/{name}", "sequences=20", "json=told.json")
    told = json.loads(Path("told.json").read_text())
    config = files.load(SHIPPED / f"{name}.ckpt")["ntm"]["config"]
    assert told["task"] == name == config["task"]["name"]
    assert max(result["length"] for result in told["results"]) > config["task"]["lengths"][1]
    assert [result["bit_errors"] for result in told["results"]] == [0] * len(told["results"])


def test_the_multiplier_multiplies(here, capsys):
    a, b = 123456789012345678901234567890, 987654321098765432109876543210
    here("multiply", "run=pretrained/binary_mul", f"a={a}", f"b={b}")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{a} x {b} = {a * b}"
    assert said[1].startswith("right; ")


def test_a_name_that_is_none_is_refused_and_what_is_shipped_is_not_trained_on(here, capsys):
    for words, told in (
        (["evaluate", "run=pretrained/nothing"], "no such file"),
        (["train", "resume=pretrained/copy", "trainer.max_steps=9999"], "weights alone, there is nothing to go on from"),
    ):
        with pytest.raises(SystemExit) as ended:
            here(*words)
        assert ended.value.code == 2
        assert f"{words[1]}: {told}; allowed: " in capsys.readouterr().err
    assert sorted(path.name for path in Path("checkpoints/pretrained").iterdir()) == [f"{name}.ckpt" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_they_are_weights_alone(name):
    assert files.load(SHIPPED / f"{name}.ckpt").keys() == {"ntm", "state_dict"}


def test_both_multiply_what_is_given_once(here, capsys):
    a, b = 123456789012345678901234567890, 987654321098765432109876543210
    here("multiply", "run=pretrained/binary_mul", "clock=pretrained/clock", f"a={a}", f"b={b}")
    assert capsys.readouterr().out.startswith(f"{a} x {b} = {a * b}\nright; ")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("binary_add", "CERTIFIED: for all n, a and b"),
        ("clock", "CERTIFIED: for all n, a and b"),
        ("repeat_copy", "CERTIFIED: for all of these the network says the vectors as often as it is asked to, and marks the end"),
    ],
)
def test_it_is_proved(name, told, here, capsys):
    here("certify", f"run=pretrained/{name}")
    assert told in capsys.readouterr().out


def test_the_multiplier_is_proved(here, capsys):
    here("certify", "run=pretrained/binary_mul")
    assert "verdict       CERTIFIED: for all n, a and b" in capsys.readouterr().out
