"""What the README says is so: its two commands, its file tree, its keys, and its task in one file."""

import re
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import tasks
from ntm import load
from tasks.turing import shipped

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_the_two_commands_stand_at_the_top():
    commands = [line.strip() for line in README.splitlines() if line.startswith("    pip install")]
    assert commands == [
        "pip install -c constraints.txt -e . && python -m ntm.train task=binary_mul",
        "pip install -c constraints.txt -e '.[dev]' && pytest",
    ]
    assert README.index(commands[1]) < 250
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text()


def test_every_file_has_its_line():
    tree = README.split("## Files")[1]
    for folder in ("ntm", "tasks"):
        for path in (ROOT / folder).rglob("*.py"):
            assert path.name == "__init__.py" or path.name in tree, path
    for name in re.findall(r"\w+\.py", tree):
        assert [*ROOT.glob(f"*/{name}"), *ROOT.glob(f"*/turing/{name}")], name


def test_pictures_and_choices_exist():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).exists(), picture
    for group, choice in re.findall(r"\b(task|machine|experiment|debug)=([a-z_]+)\b", README):
        assert (ROOT / "configs" / group / f"{choice}.yaml").exists() or choice in shipped(), f"{group}={choice}"
    for name in shipped():
        assert name in README, name


def test_its_commands_run(run, capsys):
    run("train", "task=copy", "debug=quick", "trainer.max_steps=10", "task.test_lengths=[3]")
    run("train", "task=copy", "resume=last", "trainer.max_steps=12")
    run("evaluate", "run=last", "lengths=[2,10]", "json=table.json", "png=trace.png", "sequences=2")
    assert {path.name for path in Path().iterdir()} == {"checkpoints", "table.json", "trace.png"}


def test_load_in_python(trained):
    machine, task = load(trained)
    batch = task.batch(seed=0, split="test", index=0, size=1, lengths=(3, 3))
    output = machine(batch.inputs, slots=64, record=True)
    assert output.trace.memory.shape[2] == 64
    assert task.show(batch.inputs[0], (output.logits[0] > 0).float()).split()[-1] in ("ok", "wrong")


def test_its_task_in_one_file_works(tmp_path, monkeypatch):
    code = textwrap.dedent(re.search(r'( {4}"""Reverse: .*?\n)\n[^ \n]', README, re.DOTALL)[1])
    (tmp_path / "reverse.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    import reverse

    task = reverse.Reverse(width=3)
    inputs, targets, mask = task.batch(0, "train", 0, 4, (2, 5))
    for row in range(4):
        length = int(inputs[row, :, 3].argmax())
        assert torch.equal(targets[row, mask[row] > 0], inputs[row, :length, :3].flip(0))
        assert task.show(inputs[row], targets[row]).endswith("ok")
    assert isinstance(task, tasks.Task)
    sys.modules.pop("reverse")


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("ntm/*.py"), *ROOT.glob("tasks/*.py"), *ROOT.glob("tests/*.py")]), ids=lambda p: p.name
)
def test_no_file_is_longer_than_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 300
