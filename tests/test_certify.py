"""The command: three verdicts, what is read out runs as the network does, and a certificate says what it rests on."""

import hashlib
import json
import struct

import numpy as np
import pytest
import torch
import yaml
from machines import compiled

from ntm.certificate import fingerprint
from ntm.models.turing.compiler import compile_table
from ntm.models.turing.decisions import Decision, Decisions, code_of
from ntm.models.turing.run import run_discrete
from ntm.proofs.extract import as_yaml, extract
from ntm.proofs.formulas import as_text, logic_of, minimise
from ntm.proofs.product import search_any
from ntm.proofs.verilog import simulate, simulator, write_verilog
from tasks import Turing
from tasks.turing import random_word, read_table, shipped

SMALL = [name for name in shipped() if name != "universal"]


def test_the_fingerprint_is_a_hash_of_every_weight():
    machine = compiled("bb2").machine
    expected = hashlib.sha256()
    for name in sorted(name for name, _ in machine.named_parameters()):
        parameter = machine.get_parameter(name)
        expected.update(f"{name} {','.join(str(size) for size in parameter.shape)}\n".encode())
        expected.update(b"".join(struct.pack("<f", value) for value in parameter.flatten().tolist()))
    assert fingerprint(machine) == expected.hexdigest()
    machine.output.bias.data[0] = float(np.nextafter(np.float32(-20), np.float32(0)))
    assert fingerprint(machine) != expected.hexdigest()


def test_a_register_that_shows_two_bits_is_no_state_of_that_name():
    table = read_table({"symbols": ["_", "a"], "start": "11", "halt": "10", "table": {"11": {".": [".", "R", "10"]}}})
    rows = {(code_of(table, "11"), (seen,)): Decision((seen,), (1,), (1, 1), running=True) for seen in "_a"}
    rows |= {((1, 1), (seen,)): Decision((seen,), (0,), (1, 1), running=False) for seen in "_a"}
    extracted = extract(table, rows)
    assert extracted["table"] == {"11": {"_": ["_", "R", "11_"], "a": ["a", "R", "11_"]}}
    assert extracted["halt"] == ["11_"]


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
    assert "assumed       a run starts with the register on right (bits exactly 0 and 1), a word on the tapes, blanks on" in shown
    certificate = json.loads((tmp_path / "certificate.json").read_text())
    assert certificate["certified"]
    assert f"weights       sha256 {certificate['weights_sha256']}" in shown
    assert len(certificate["assumed"]) == 3
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


HALTING = "blank: 0\nsymbols: [0, 1]\ntable:\n  a: {0: [1, S, b], 1: [1, R, a]}\n  b: {0: [%s, R, a], 1: [1, R, a]}\n"
"""b only ever sees the 1 that a has just written: no run comes to its row for 0."""


@pytest.mark.parametrize(
    ("words", "code", "shown"),
    [
        (["run=bb3"], 0, "CERTIFIED: on any content of the tapes"),
        (["run=bb3", "reference=1RB1RZ_1LB0RC_1LC1RA"], 1, "input=(blank tape)\nverdict       DIFFERS from the table 1RB1RZ"),
        (["run=a.yaml", "reference=b.yaml"], 3, "UNDECIDED: not proved to be the table b, nor shown to differ"),
        (["run=binary_increment", "reference=wrong.yaml"], 2, ""),
    ],
)
def test_each_verdict_has_an_exit_code(run, tmp_path, capsys, words, code, shown):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(HALTING % (0 if name == "a" else 1))
    ended = 0
    try:
        run("certify", *words, "json=certificate.json")
    except SystemExit as left:
        ended = left.code
    assert ended == code
    assert shown in capsys.readouterr().out
    if code != 2:
        given = json.loads((tmp_path / "certificate.json").read_text())
        assert given["verdict"] == {0: "certified", 1: "differs", 3: "undecided"}[code]
        assert (given["certified"], given["table"] is None, len(given["weights_sha256"])) == (code == 0, code != 0, 64)
        assert (given["shortest_input"] is None, bool(given["undecided_because"])) == (code != 1, code == 3)


def test_a_search_that_is_given_up_decides_nothing(run, tmp_path, capsys):
    many = read_table("universal").source
    (tmp_path / "many.yaml").write_text(yaml.safe_dump({**many, "input": "[01|LRS;]+,[01|LRS;]+[01|LRS;]+,[|]+"}))
    with pytest.raises(SystemExit) as ended:
        run("certify", "run=many.yaml", "inputs=declared", "export=out", "json=certificate.json")
    assert ended.value.code == 3
    shown = capsys.readouterr().out
    assert "undecided     the search was given up: more than 60,000" in shown
    assert "exported      nothing: not every row that the network can come to is known" in shown
    given = json.loads((tmp_path / "certificate.json").read_text())
    assert (given["verdict"], given["combinations"], given["differences"]) == ("undecided", None, [])
    assert not (tmp_path / "out").exists()


def test_a_damaged_run_is_refused_and_nothing_of_it_exported(run, tmp_path, traced, capsys):
    checkpoint = torch.load(traced / "last.ckpt", weights_only=True)
    checkpoint["state_dict"]["model.machine.cell.controller.feedback.weight"] *= -1
    torch.save(checkpoint, tmp_path / "damaged.ckpt")
    with pytest.raises(SystemExit) as ended:
        run("certify", "run=damaged.ckpt", "export=out")
    assert ended.value.code == 1
    shown = capsys.readouterr().out
    assert "DIFFERS from the table binary_increment" in shown
    assert "exported      nothing" in shown
    assert not (tmp_path / "out").exists()


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
