"""Every yaml composes, is valid, and builds its model; the defaults of code and yaml agree."""

import dataclasses

import pytest
import torch
import yaml
from conftest import composed
from pydantic import TypeAdapter

from ntm.config import TABLES, build, parse
from ntm.models.turing.compiler import compile_table
from ntm.words import CONFIG_DIR
from tasks import TASKS

GROUPS = ["task", "model", "recipe", "optimizer", "curriculum", "trainer", "debug", "experiment"]
CHOICES = [f"{group}={path.stem}" for group in GROUPS for path in sorted((CONFIG_DIR / group).glob("*.yaml"))]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_builds_and_runs(choice):
    needed = {
        "recipe=binary_mul_tape": ["task=binary_mul"],
        "model=turing": ["task=turing"],
        "recipe=binary_mul_tape_wide": ["task=binary_mul"],
        "recipe=binary_add_tape": ["task=binary_add"],
        "recipe=copy_tape": ["task=copy", "model=tape"],
        "recipe=repeat_copy_tape": ["task=repeat_copy", "model=tape"],
        "recipe=clock_tape_pair": ["task=clock"],
        "recipe=written_mul_neural_gpu": ["task=written_mul"],
    }
    config = parse(composed(choice, *needed.get(choice, [])))
    model = build(config)
    batch = config.task.batch(0, "train", 0, 2, (2, 2))
    assert torch.isfinite(model(batch.inputs, batch.ticks).logits).all()


def test_the_model_for_tables_is_what_the_compiler_builds():
    config = parse(composed("task=turing"))
    built, compiled = build(config).machine, compile_table(config.task.table)
    shapes = [{name: p.shape[:1] for name, p in m.named_parameters() if "layers" not in name} for m in (built, compiled)]
    assert shapes[0] == shapes[1]
    (a, b) = (m.cell.access for m in (built, compiled))
    assert (a.start, a.memory_width, a.tapes) == (b.start, b.memory_width, b.tapes) == (a.start, 7, 1)


@pytest.mark.parametrize("group", TABLES)
def test_there_are_choices_for_every_row_of_a_table(group):
    named = {composed(choice)[group]["name"] for choice in CHOICES if choice.startswith(f"{group}=")}
    assert named == set(TABLES[group])
    if group == "task":
        assert {f"task={name}" for name in TASKS} == {choice for choice in CHOICES if choice.startswith("task=")}


def test_recipes_are_for_pairs_that_exist_and_bear_their_names():
    for path in (CONFIG_DIR / "recipe").glob("*.yaml"):
        assert yaml.safe_load(path.read_text())["recipe"] == path.stem
        pairs = [f"{task}_{path.stem}" for task in TASKS for path in (CONFIG_DIR / "model").glob("*.yaml")]
        assert path.stem == "neutral" or any(path.stem == pair or path.stem.startswith(f"{pair}_") for pair in pairs)


@pytest.mark.parametrize("name", TASKS)
def test_yaml_and_code_have_the_same_fields_and_defaults(name):
    values = composed(f"task={name}", "recipe=neutral")["task"]  # a recipe may set some
    assert values.pop("name") == name
    coded = TypeAdapter(TASKS[name]).dump_python(TASKS[name](), mode="json")
    read = TypeAdapter(TASKS[name]).dump_python(TASKS[name](**values), mode="json")
    assert set(values) == {field.name for field in dataclasses.fields(TASKS[name])}
    assert {key: value for key, value in read.items() if value != coded[key]} == {}


def test_the_command_line_wins_over_the_task():
    assert composed("task=binary_mul", "model=ntm")["model"]["heads"]["kind"] == "ntm"
    assert composed("task=binary_mul", "optimizer.lr=0.5")["optimizer"]["lr"] == 0.5


def test_an_experiment_changes_what_it_names():
    config = parse(composed("experiment=copy_graves"))
    assert config.model.slots == 128
    assert config.model.heads.stay == 0
    assert config.optimizer.name == "rmsprop"
    assert config.trainer.batch_size == 1
    assert config.trainer.mean_over == "sequences"
    config = parse(composed("experiment=repeat_copy_lstm"))
    assert config.recipe == "repeat_copy_ntm_lstm"
    assert config.curriculum.stages == (1, 2, 4, 7, 10)
