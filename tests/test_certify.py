"""Certificates: what is proved holds, what is damaged is caught, and what is read out runs as the network does."""

import json

import numpy as np
import pytest
import torch
import yaml
from conftest import signal
from hypothesis import given, settings
from hypothesis import strategies as st

from ntm.certify import search
from ntm.models.turing.compiler import compile_table, shape_of
from ntm.models.turing.decisions import Decisions, NotDiscreteError, code_of, encode
from ntm.models.turing.free import record
from ntm.models.turing.run import run_dense, run_discrete
from ntm.named import Named, find
from ntm.proofs.extract import as_yaml, extract
from ntm.proofs.formulas import as_text, logic_of, minimise
from ntm.proofs.margins import Errors, bounds, box, layers_of, one_tick, smallest
from ntm.proofs.product import TooManyError, search_any, search_words, shortest_word
from ntm.proofs.verilog import simulate, simulator, write_verilog
from tasks import Turing
from tasks.turing import execute, parts, random_word, read_table, read_word, shipped

SMALL = [name for name in shipped() if name != "universal"]


def compiled(name):
    table = read_table(name)
    return Named(name, compile_table(table), Turing(table=table, supervision="compiled"))


def certified(named):
    decisions = Decisions(named.machine, named.task.table)
    _, found = search(decisions, named.task.table, named, "auto")
    return not found.differences and bounds(named.machine, named.task.table, found.reached).forever


@pytest.mark.parametrize("name", SMALL)
def test_shipped_machines_are_certified_on_any_tape(name):
    named = compiled(name)
    table = named.task.table
    found = search_any(Decisions(named.machine, table), table)
    assert found.differences == []
    assert len(found.reached) == len(table.rows)
    proof = bounds(named.machine, table, found.reached)
    assert proof.forever
    assert proof.margins.register > 19.9
    assert proof.kept < 1e-8


def test_every_combination_that_runs_reach_is_reached_by_the_search_over_words():
    table = read_table("binary_mul")
    pattern = parts(table.input, 1)
    found = search_words(Decisions(compile_table(table), table), table, pattern, 2)
    assert found.differences == []
    assert len(found.reached) == 59
    for seed in range(40):
        word = random_word(np.random.default_rng(seed), pattern, 1 + seed % 9)
        for step, _ in execute(table, word, 10_000):
            assert (code_of(table, step.state), step.seen) in found.reached


def test_the_search_over_words_sees_a_difference_that_a_run_would():
    table = read_table("binary_mul")
    other = {**table.source, "table": {**table.source["table"]}}
    other["table"]["add_1"] = {**other["table"]["add_1"], "x": ["x", "L", "add_1"]}
    pattern = parts(table.input, 1)
    found = search_words(Decisions(compile_table(read_table(other)), table), table, pattern, 2)
    assert [(d.state, d.seen) for d in found.differences] == [("add_1", ("x",))]
    word = shortest_word(table, pattern, found.differences)
    assert len(word[0]) == 7
    assert any(step[:2] == ("add_1", ("x",)) for step, _ in execute(table, word, 1000))


def test_a_machine_that_moves_on_when_it_has_halted_is_no_halt():
    table = read_table("bb2")
    machine = compile_table(table)
    unit = list(table.rows).index(("Z", ("0",)))
    with torch.no_grad():
        shape_of(machine).heads.addressing.weight[2:, unit] = torch.tensor([0.0, 0.0, 40.0])
    found = search_any(Decisions(machine, table), table)
    assert [(d.state, d.seen, d.machine) for d in found.differences] == [("Z", ("0",), "halts, but changes something")]


def test_a_search_that_would_not_end_in_time_is_given_up():
    table = read_table("universal")
    with pytest.raises(TooManyError):
        search_words(Decisions(compile_table(table), table), table, parts("[01|LRS;]+,[01|LRS;]+,[|]+", 3), 3)


def behaviour(named, words):
    """The ends of soft runs, None where a value was between."""
    ends = []
    for word in words:
        try:
            ends.append(run_dense(named.machine, named.task.table, word, 200))
        except NotDiscreteError:
            ends.append(None)
    return ends


@pytest.mark.parametrize("name", ["binary_increment", "traced"])
def test_a_sign_flip_that_changes_behaviour_is_never_certified(name, traced):
    named = find("run", str(traced)) if name == "traced" else compiled(name)
    words = [random_word(np.random.default_rng(n), named.task.pattern, 1 + n) for n in range(5)]
    right, random = behaviour(named, words), np.random.default_rng(0)
    assert certified(named)
    changed, wanted = 0, 2 if name == "traced" else 100  # what was learned is redundant: few flips change it
    weights = [p for p in named.machine.parameters() if p.any()]
    for _ in range(60 if name == "traced" else 300):
        flat = weights[random.integers(len(weights))].data.view(-1)
        index = int(random.choice(flat.abs().topk(min(10, int(flat.count_nonzero()))).indices.numpy()))
        flat[index] *= -1
        if behaviour(named, words) != right:
            changed += 1
            assert not certified(named)
        flat[index] *= -1
        if changed == 100:
            break
    assert changed >= wanted


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_never_certified(value):
    named = compiled("bb3")
    shape_of(named.machine).heads.addressing.bias.data[1] = value
    assert not certified(named)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_a_box_holds_every_point_in_it(seed):
    torch.manual_seed(seed)
    table = read_table("binary_increment")
    machine = compile_table(table)
    for parameter in machine.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    see, spread = encode(table, ("1",)).double().numpy(), np.array([0.05] * 3 + [0.02] * 3)
    seen = np.concatenate([see, [0.0, 1.0, 0.0]])
    middle, radius = box(layers_of(machine), seen, spread)
    corners = seen + spread * np.random.default_rng(seed).uniform(-1, 1, (200, 6))
    controller, register, heads, _ = shape_of(machine)
    hidden = controller.layers(torch.tensor(corners, dtype=torch.float32))
    logits = torch.cat([layer(hidden) for layer in (register, heads.writing, heads.addressing)], -1)
    logits = logits.detach().numpy()
    assert (np.abs(logits - middle[:-1]) <= radius[:-1]).all()
    assert radius.max() < 100


def test_errors_of_a_tick_bound_what_a_soft_run_does(traced):
    named = find("run", str(traced))
    table = named.task.table
    found = search_words(Decisions(named.machine, table), table, named.task.pattern, 2)
    proof = bounds(named.machine, table, found.reached)
    assert proof.forever
    assert all(margin > 2 for margin in proof.margins)
    assert all(new <= old for new, old in zip(one_tick(proof.margins, proof.errors), proof.errors))
    word = read_word("1" * 12, table.symbols, 1)
    _, output = record(named.machine, named.task, word)
    register, memory = (signal(output, picture)[0] for picture in ("register", "memory"))
    assert (register - register.round()).abs().max() <= proof.errors.register
    assert (memory - memory.round()).abs().max() <= proof.errors.slot
    assert (1 - signal(output, "read_weights")[0].amax(-1)).max() <= proof.errors.off_head + 1e-6


def test_wider_errors_leave_smaller_margins():
    named = compiled("bb3")
    table = named.task.table
    found = search_any(Decisions(named.machine, table), table)
    near, far = (smallest(named.machine, table, found.reached, Errors(e, e, 1e-40)) for e in (1e-6, 1e-2))
    assert far.register < near.register - 0.5


@pytest.mark.parametrize("name", SMALL)
def test_extract_compile_run_is_the_identity(name):
    table = read_table(name)
    decisions = Decisions(compile_table(table), table)
    again = read_table(yaml.load(as_yaml(extract(table, search_any(decisions, table).reached)), Loader=yaml.BaseLoader))
    second = Decisions(compile_table(again), again)
    task = Turing(table=table)
    for n in range(5):
        word = random_word(np.random.default_rng(n), task.pattern, 1 + n)
        assert run_discrete(second, word, 2_000) == run_discrete(decisions, word, 2_000)


@pytest.mark.parametrize("name", ["bb3", "binary_mul", "palindrome"])
def test_formulas_are_the_decisions(name):
    table = read_table(name)
    reached = search_any(Decisions(compile_table(table), table), table).reached
    logic = logic_of(table, reached)
    for n in range(len(logic.outputs)):
        products = minimise(logic, n)
        formula = as_text(logic, products)
        for known, expected in zip(logic.known, logic.values[:, n]):
            bits = {bit: int(known) >> at & 1 for at, bit in enumerate(reversed(logic.inputs))}
            assert eval(formula, {}, bits) & 1 == expected
        for left_out in products:  # none can be left out
            rest = [product for product in products if product != left_out]
            covered = [any(known & mask == value for mask, value in rest) for known in logic.known[logic.values[:, n] == 1]]
            assert not all(covered)


@pytest.mark.skipif(simulator() is None, reason="iverilog is not installed")
@pytest.mark.parametrize("name", ["bb4", "binary_mul", "binary_add", "palindrome"])
def test_verilog_ends_as_the_network_does(name, tmp_path):
    table = read_table(name)
    decisions = Decisions(compile_table(table), table)
    logic = logic_of(table, search_any(decisions, table).reached)
    write_verilog(tmp_path, table, logic)
    for n in range(4):
        word = random_word(np.random.default_rng(n), Turing(table=table).pattern, 1 + 2 * n) if name != "bb4" else ((),)
        for limit in (3, 3_000):
            assert simulate(tmp_path, table, logic, word, limit) == run_discrete(decisions, word, limit)


def test_the_command_certifies_and_exports(run, tmp_path, traced, capsys):
    run("certify", f"run={traced}", "export=out", "json=certificate.json")
    shown = capsys.readouterr().out
    assert "CERTIFIED: on every word [01]+, of any length" in shown
    assert "supervision trace" in shown
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    assert certificate["certified"]
    assert certificate["reference"] == "binary_increment"
    assert certificate["differences"] == []
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"table.yaml", "formulas.txt", "controller.v", "testbench.v"}
    run("turing", "machine=out/table.yaml", "input=1011", "json=end.json")
    assert json.loads((tmp_path / "end.json").read_text())["tape"] == "1100"
    run("certify", "run=out/table.yaml", "reference=binary_increment", "inputs=declared")


def test_a_folder_that_is_not_empty_is_not_exported_into(run, tmp_path, capsys):
    run("certify", "run=bb3", "export=out")
    assert not (tmp_path / "out/config.yaml").exists()
    with pytest.raises(SystemExit) as ended:
        run("certify", "run=bb3", "export=out")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "ntm.certify: error: export=out: not empty; allowed: a new folder\n"


def test_the_command_shows_the_shortest_input_that_differs(run, capsys):
    with pytest.raises(SystemExit) as ended:
        run("certify", "run=binary_increment", "reference=wrong.yaml")
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        run("certify", "run=bb3", "reference=1RB1RZ_1LB0RC_1LC1RA")
    assert ended.value.code == 1
    shown = capsys.readouterr().out
    assert "shortest      input=(blank tape)" in shown
    assert "NOT CERTIFIED" in shown
    assert "goes to A" in shown


def test_a_damaged_run_is_refused(run, tmp_path, traced, capsys):
    checkpoint = torch.load(traced / "last.ckpt", weights_only=True)
    checkpoint["state_dict"]["model.machine.cell.controller.feedback.weight"] *= -1
    torch.save(checkpoint, tmp_path / "damaged.ckpt")
    with pytest.raises(SystemExit) as ended:
        run("certify", "run=damaged.ckpt")
    assert ended.value.code == 1
    assert "NOT CERTIFIED: not the table binary_increment" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=bb9"], "run=bb9: no such table; allowed: bb2"),
        ([], "run=: must be given; allowed: bb2"),
        (["run=bb3", "inputs=some"], "inputs=some: allowed: 'auto', 'any' or 'declared'"),
        (["run=bb3", "inputs=declared"], "inputs=declared: this table declares no words"),
        (["run=bb3", "reference=palindrome"], "reference=palindrome: other symbols"),
        (["run=missing.ckpt"], "run=missing.ckpt: no such file"),
        (["run=bb3", "json=no/where.json"], "json=no/where.json: cannot be written"),
        (["run=bb3", "export=/proc/x"], "export=/proc/x: cannot be written"),
        (["run=bb3", "colour=red"], "colour=red: no such key; allowed: run, reference"),
    ],
)
def test_mistakes_are_one_line(refused, words, message):
    assert refused("certify", *words).startswith("ntm.certify: error: " + message)
