"""Learning from traces: what is shown is what the table does, and what was learned runs free."""

import numpy as np
import pytest
import torch
from conftest import composed, signal

from ntm import load
from ntm.config import build, parse
from ntm.evaluate import evaluate
from ntm.models.turing.compiler import compile_table, shape_of
from ntm.models.turing.decisions import Decisions
from ntm.models.turing.free import compare, record
from ntm.models.turing.learn import TableMachine, decide_logits
from ntm.named import find
from tasks import Turing
from tasks.losses import masked_bits
from tasks.turing import read_table, read_word


def test_an_execution_is_the_worked_example_of_the_docstring():
    task = Turing(table=read_table("binary_increment"))
    inputs, targets, mask = task.execution((("1",),))

    def rows(array, *sizes):
        text = ["".join(str(int(bit)) for bit in row) for row in array]
        edges = np.cumsum((0, *sizes))
        return [" ".join(line[a:b] for a, b in zip(edges, edges[1:])) for line in text]

    assert rows(inputs, 3, 3) == ["001 100", "100 100", "001 010", "100 010", "001 001"]
    assert rows(targets, 3, 3, 3, 1) == ["100 001 001 1", "010 100 100 1", "010 010 100 1", "001 001 010 1", "001 001 010 0"]
    assert mask.tolist() == [1.0] * 5


def test_training_sequences_show_each_tick_once():
    task = Turing(table=read_table("binary_mul"))
    batch = task.batch(0, "train", 0, 8)
    for inputs, mask in zip(batch.inputs, batch.mask):
        seen = inputs[mask > 0]
        assert len(seen.unique(dim=0)) == len(seen)


@pytest.mark.parametrize("name", ["bb3", "binary_mul", "binary_add"])
def test_a_compiled_machine_decides_what_traces_say(name):
    task = Turing(table=read_table(name))
    batch = task.batch(0, "val", 0, 8)
    told, fixed = decide_logits(compile_table(task.table), batch.inputs)
    assert task.score(told, batch).wrong_sequences == 0
    assert (fixed[batch.mask > 0] > 19.9).all()
    assert ((2 * batch.targets - 1) * told)[batch.mask > 0].min() > 19.9


def test_the_learned_machine_runs_free_far_beyond_its_words(traced):
    named = find("run", str(traced))
    assert named.task.supervision == "trace"
    result = evaluate(TableMachine(named.machine), named.task, 200, 3)
    assert (result.wrong_sequences, result.bit_errors) == (0, 0)
    table = named.task.table
    line = compare(Decisions(named.machine, table), read_word("1" * 30, table.symbols, 1), 1000).line
    assert line == f"{'1' * 30} -> 1{'0' * 30} in 62 steps: ok"


def test_a_free_run_that_is_wrong_is_counted_wrong():
    right, wrong = read_table("binary_increment"), read_table("binary_increment").source
    wrong = {
        **wrong,
        "table": {**wrong["table"], "carry": {"0": ["0", "S", "done"], "1": ["0", "L", "carry"], "_": ["1", "S", "done"]}},
    }
    decisions = Decisions(compile_table(read_table(wrong)), right)
    assert compare(decisions, (("0",),), 100).wrong == 1
    assert compare(decisions, (("1",),), 100).wrong == 0


def test_a_recorded_run_shows_the_same_ticks_as_the_reference():
    task = Turing(table=read_table("palindrome"))
    batch, output = record(compile_table(task.table), task, (("a", "b", "a"), ()))
    assert batch.inputs.shape[:2] == output.logits.shape[:2]
    assert torch.equal((output.logits > 0).float(), batch.targets)
    reads = signal(output, "read_vectors")[0, :-1].round()
    assert torch.equal(reads, batch.inputs[0, 1:, :6])  # what is read after a tick is what the next one sees


def test_the_output_listens_to_the_controller_alone():
    model = build(parse(composed("task=turing")))
    assert isinstance(model, TableMachine)
    controller, _, heads, output = shape_of(model.machine)
    assert not output.weight[:, controller.width :].any()
    assert heads.read_width == 7
    assert controller.register == 16


def test_its_logits_are_what_a_tick_decides_and_its_loss_asks_for_more(traced):
    model, task = load(traced)
    batch = task.batch(0, "val", 0, 4)
    told, fixed = decide_logits(model.machine, batch.inputs)
    assert torch.equal(model(batch.inputs, batch.ticks).logits, told)
    wanted = torch.cat([batch.targets, torch.ones_like(fixed)], -1)
    expected = masked_bits(torch.cat([told, fixed], -1) / 3, wanted, batch.mask)
    loss, score, _ = model.learn(task, batch, "bits")
    assert torch.equal(loss, expected)
    assert torch.equal(score.errors, task.score(told, batch).errors)


def test_sizes_are_the_tables_own(refused):
    assert "model.controller.register=5: no such key" in refused("train", "task=turing", "model.controller.register=5")
    assert "model=turing: this task has no state table" in refused("train", "task=copy", "model=turing")


def test_another_model_may_learn_the_ticks_and_is_no_turing_machine(run, tmp_path, capsys):
    run("train", "task=turing", "model=gru", "model.width=8", "trainer.max_steps=2", "trainer.val_every=2", "run_dir=gru")
    assert "recipe      neutral" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        run("turing", "machine=gru")
    assert ended.value.code == 2
    assert "machine=gru: a run of task turing, model rnn; allowed: runs of task turing, model turing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["task=turing", "turing=bb9"], "turing=bb9: no such table; allowed: bb2"),
        (["task=turing", "turing=1RB1LC_1LA1RZ"], "turing=1RB1LC_1LA1RZ: table.A.1: C is an unknown state"),
        (["task=copy", "turing=bb3"], "turing=bb3: no such key; allowed with task=turing only"),
        (["task=copy", "+turing=bb3"], "turing=bb3: no such key; allowed: recipe, task"),
        (["task=turing", "turing="], "turing=: must be given"),
    ],
)
def test_mistakes_are_one_line(refused, words, message):
    assert refused("train", *words).startswith("ntm.train: error: " + message)


def test_a_traced_run_resumes_with_its_own_table(run, tmp_path, traced, capsys):
    last = traced / "last.ckpt"
    run(
        "train",
        f"resume={last}",
        "task=turing",
        "turing=binary_increment",
        "run_dir=more",
        "trainer.max_steps=602",
        "trainer.val_every=2",
    )
    assert "resumed" in capsys.readouterr().out
    assert find("run", "more").task.table.name == "binary_increment"
    with pytest.raises(SystemExit) as ended:
        run("train", f"resume={traced}", "task=turing", "turing=bb3", "trainer.max_steps=700")
    assert ended.value.code == 2
    assert "turing=bb3: a resumed run keeps its task.table; allowed: what it was trained with" in capsys.readouterr().err
