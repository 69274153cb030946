"""Every yaml composes, is valid, and builds its machine; the defaults of code and yaml agree."""

import dataclasses
from pathlib import Path

import pytest
import torch
import yaml
from conftest import composed

from ntm.command import CONFIG_DIR
from ntm.config import build_machine, parse
from ntm.turing.compiler import compile_table
from ntm.turing.load import fitted
from tasks import TASKS

GROUPS = ["task", "machine", "optimizer", "curriculum", "trainer", "debug", "experiment"]
CHOICES = [f"{group}={path.stem}" for group in GROUPS for path in sorted((Path(CONFIG_DIR) / group).glob("*.yaml"))]


FOR_TABLES = ["task=turing", "machine=turing"]
"""Their sizes come from a state table, and their machines are fed by their own tapes."""


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice not in FOR_TABLES])
def test_every_choice_builds_and_runs(choice):
    config = parse(composed(choice))
    machine = build_machine(config.machine, config.task)
    batch = config.task.batch(0, "train", 0, 2, (2, 2))
    assert torch.isfinite(machine(batch.inputs).logits).all()


def test_the_choices_for_tables_build_what_the_compiler_builds():
    config = parse(fitted(composed(*FOR_TABLES)))
    built, compiled = build_machine(config.machine, config.task), compile_table(config.task.table)
    assert (built.slots, built.heads.slot_width, built.heads.tapes) == (compiled.slots, compiled.heads.slot_width, 1)
    shapes = [
        {name: p.shape[:1] for name, p in machine.named_parameters() if "layers" not in name} for machine in (built, compiled)
    ]
    assert shapes[0] == shapes[1]


def test_there_are_choices_for_every_task():
    assert {f"task={name}" for name in TASKS} == {choice for choice in CHOICES if choice.startswith("task=")}


@pytest.mark.parametrize("name", TASKS)
def test_yaml_and_code_have_the_same_fields(name):
    values = yaml.safe_load((Path(CONFIG_DIR) / f"task/{name}.yaml").read_text())["task"]
    assert values.pop("name") == name
    assert set(values) == {field.name for field in dataclasses.fields(TASKS[name])}


def test_the_command_line_wins_over_the_task():
    assert composed("task=binary_mul", "machine=ntm")["machine"]["heads"]["kind"] == "ntm"
    assert composed("task=binary_mul", "optimizer.lr=0.5")["optimizer"]["lr"] == 0.5


def test_an_experiment_changes_what_it_names():
    config = parse(composed("experiment=copy_graves"))
    assert config.machine.slots == 128
    assert config.machine.heads.stay == 0
    assert config.optimizer.name == "rmsprop"
    assert config.trainer.batch_size == 1
