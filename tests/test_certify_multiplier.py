"""ntm.certify of runs of binary_mul: verdicts, exit codes, JSON, mistakes."""

import json

import pytest
from by_hand import ended, save
from conftest import composed
from multipliers import adder, counting, model_of, words_of

from ntm.config import build, parse
from ntm.proofs.multiplier.adder import FULL
from ntm.proofs.verilog import simulator


def test_the_command_certifies_and_checks_again(run, tmp_path, capsys):
    save(tmp_path / "right", words_of(adder()), model_of(adder()))
    assert ended(run, "run=right", "json=certificate.json") == 0
    shown = capsys.readouterr().out
    assert "CERTIFIED: for all n, a and b" in shown
    assert "122 combinations of inputs, register and slots seen" in shown
    assert "              01 (a's bit 0) -> 0   1" in shown
    given = json.loads((tmp_path / "certificate.json").read_text())
    assert f"weights       sha256 {given['weights_sha256']}" in shown
    assert (given["verdict"], given["certified"], given["wrong"], given["combinations"]) == ("certified", True, None, 122)
    assert ended(run, "run=right", "invariant=certificate.json", "json=again.json") == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again == given
    given["invariant"]["windows"][0]["windows"].pop()
    (tmp_path / "certificate.json").write_text(json.dumps(given))
    capsys.readouterr()
    assert ended(run, "run=right", "invariant=certificate.json") == 3
    assert "undecided     the invariant proves nothing of this machine: a word is written" in capsys.readouterr().out


def test_what_it_is_is_told_and_exported(run, tmp_path, capsys):
    save(tmp_path / "right", words_of(adder()), model_of(adder()))
    assert ended(run, "run=right", "export=out", "json=certificate.json") == 0
    shown = capsys.readouterr().out
    assert f"cell          {FULL}\n" in shown
    assert "0+0+0=0+2*0   0+0+1=1+2*0   0+1+0=1+2*0   0+1+1=0+2*1   1+0+0=1+2*0   1+0+1=0+2*1" in shown
    assert "formulas      2 of a slot's 2 bits count, and 1 of the register's; 122 combinations of them occur" in shown
    told = json.loads((tmp_path / "out/table.json").read_text())
    assert told == json.loads((tmp_path / "certificate.json").read_text())["cell"]
    assert {"right": 1, "product": 1, "carry": "1", "digit": 1, "onward": "1"} in told["sums"]
    for name, formula in told["formulas"].items():
        assert f"\n              {name} = {formula}\n" in shown
        assert f"{name} = {formula}\n" in (tmp_path / "out/formulas.txt").read_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"multiplier.v", "testbench.v", "operands.txt"}
    simulated = "iverilog multiplies 64 of 64 random pairs" if simulator() else "was not simulated: no iverilog here"
    assert simulated in shown


def test_nothing_is_exported_of_what_is_not_proved(run, tmp_path, capsys):
    save(tmp_path / "wrong", words_of(counting(2)), model_of(counting(2)))
    assert ended(run, "run=wrong", "export=out") == 1
    assert "exported      nothing: it is not proved right" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_the_command_shows_wrong_operands(run, tmp_path, capsys):
    rows = counting(2)
    save(tmp_path / "wrong", words_of(rows), model_of(rows))
    assert ended(run, "run=wrong", "json=certificate.json") == 1
    shown = capsys.readouterr().out
    assert "verdict       DIFFERS from multiplication" in shown
    given = json.loads((tmp_path / "certificate.json").read_text())
    assert (given["verdict"], given["certified"], given["invariant"]) == ("differs", False, None)
    wrong = given["wrong"]
    assert wrong["said"] != wrong["a"] * wrong["b"]
    assert f"3 bits: {wrong['a']} x {wrong['b']} = {wrong['a'] * wrong['b']}, and the machine says {wrong['said']}" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run=soft"], "run=soft: did not end rounded; allowed: a run whose curriculum rounds"),
        (["run=wide"], "run=wide: a machine of another kind; allowed: a feed-forward controller with one tape head"),
        (["run=once"], "run=once: there is no proof with task.protocol=once, where no flag begins a sweep (task=clock learns"),
        (["run=right", "export=right"], "export=right: not empty; allowed: a new folder"),
        (["run=soft", "export=out"], "run=soft: did not end rounded"),
        (["run=right", "inputs=any"], "inputs=any: means nothing for a run of task binary_mul; allowed: auto"),
        (["run=right", "reference=bb3"], "reference=bb3: means nothing"),
        (["run=right", "invariant=no.json"], "invariant=no.json: cannot be read (No such file or directory); allowed: a file"),
        (["run=right", "invariant=right/last.ckpt"], "invariant=right/last.ckpt: cannot be read (no JSON)"),
        (["run=right", "invariant=empty.json"], "invariant=empty.json: not an invariant"),
        (["run=bb3", "invariant=empty.json"], "invariant=empty.json: means nothing for a run of task turing, or a table"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, capsys, words, message):
    save(tmp_path / "right", words_of(adder()), model_of(adder()))
    save(tmp_path / "soft", words_of(adder()), model_of(adder()), rounded=False)
    (tmp_path / "empty.json").write_text("{}")
    for name, word in (("wide", "model.shift_width=5"), ("once", "task.protocol=once")):
        other = [*words_of(adder()), word]
        save(tmp_path / name, other, build(parse(composed(*other))))
    assert ended(run, *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("ntm.certify: error: " + message)
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_of_another_task_is_refused(run, tmp_path, capsys):
    save(tmp_path / "other", ["task=identity"], build(parse(composed("task=identity"))))
    assert ended(run, "run=other") == 2
    allowed = "runs of task turing, binary_mul, binary_add, clock, copy or repeat_copy, tables"
    assert f"a run of task identity; allowed: {allowed}" in capsys.readouterr().err
