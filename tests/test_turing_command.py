"""python -m ntm.turing, as a user calls it."""

import json

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ntm.views.render import COLOURS, PHASE


def test_a_run_ends_in_json_and_a_diagram(run, tmp_path, capsys):
    run("turing", "machine=1RB1LB_1LA0LC_1RZ1LD_1RD0RA", "json=end.json", "png=spacetime.png")
    end = json.loads((tmp_path / "end.json").read_text())
    assert end.pop("seconds") >= 0
    assert end == {"halted": True, "steps": 107, "nonblanks": 13, "state": "Z", "head": -9, "tape": "10111111111111"}
    assert "halted      in state Z after 107 steps" in capsys.readouterr().out
    picture = np.asarray(Image.open(tmp_path / "spacetime.png"))
    assert (picture == PHASE).all(-1).any()  # the head
    assert (picture == COLOURS[255]).all(-1).sum() > (picture == PHASE).all(-1).sum()  # ones


def test_several_tapes_are_lists(run, tmp_path):
    run("turing", "machine=binary_add", "input=1011,0110", "json=end.json", "png=spacetime.png", "path=dense")
    end = json.loads((tmp_path / "end.json").read_text())
    assert (end["tape"], end["head"], end["state"]) == (["1011", "0110", "10001"], [-1, -1, -4], "done")
    assert (tmp_path / "spacetime.png").exists()


def test_input_is_text_whatever_it_looks_like(run, tmp_path):
    for text, result in (("0110", "0111"), ("1_1", None), ("00", "01"), ("1", "10")):
        run("turing", "machine=binary_increment", f"input={text}", "json=end.json")
        tape = json.loads((tmp_path / "end.json").read_text())["tape"]
        assert result is None or tape == result


@pytest.mark.parametrize(("name", "tape"), [("bb2", "1111"), ("bb3", "11111"), ("1RB1LA_0LA1RZ", None)])
def test_the_universal_machine_does_what_the_other_does(run, tmp_path, name, tape):
    run("turing", f"machine={name}", "json=other.json", "max_steps=30")
    other = json.loads((tmp_path / "other.json").read_text())
    run("turing", "machine=universal", f"simulate={name}", "json=end.json", "max_steps=20000")
    end = json.loads((tmp_path / "end.json").read_text())
    assert end["halted"] == other["halted"]
    if other["halted"]:
        assert end["tape"][0].strip("0") == other["tape"].strip("0")
        assert end["head"][0] == other["head"]
        assert tape is None or tape == other["tape"]


def test_a_run_that_does_not_halt_says_so(run, tmp_path, capsys):
    run("turing", "machine=1RB1LA_1LA1RB", "max_steps=50", "json=end.json")
    assert not json.loads((tmp_path / "end.json").read_text())["halted"]
    shown = capsys.readouterr().out
    assert "running     in state" in shown
    assert "note        no halting state can be reached" in shown


def test_a_compiled_machine_is_a_run_like_any_other(run, tmp_path, capsys):
    run("turing", "machine=binary_mul", "input=11*10", "run_dir=compiled")
    events = EventAccumulator(str(tmp_path / "compiled"), size_guidance={"images": 0}).Reload()
    names = ("trace", "write_weights", "read_weights", "register", "shift", "memory_at_end")
    assert {f"images/{name}" for name in names} <= set(events.Tags()["images"])
    run("turing", "machine=compiled", "input=101*11", "json=end.json")
    assert int(json.loads((tmp_path / "end.json").read_text())["tape"], 2) == 15
    run("evaluate", "run=compiled", "lengths=[3,9]", "sequences=3", "json=table.json", "png=trace.png")
    table = json.loads((tmp_path / "table.json").read_text())
    assert (table["task"], table["supervision"]) == ("turing", "compiled")
    assert [result["bit_errors"] for result in table["results"]] == [0, 0]
    capsys.readouterr()
    run("certify", "run=compiled")
    assert "supervision compiled" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "machine=: must be given; allowed: bb2"),
        (["machine=bb9"], "machine=bb9: no such table; allowed: bb2"),
        (["machine=1RB1LC_1LA1RZ"], "machine=1RB1LC_1LA1RZ: table.A.1: C is an unknown state"),
        (["machine=none.yaml"], "machine=none.yaml: cannot be read"),
        (["machine=bb3", "input=012"], "input=012: '2' is an unknown symbol; allowed: 0 1"),
        (["machine=bb3", "max_steps=-1"], "max_steps=-1: allowed: greater"),
        (["machine=bb3", "max_steps=many"], "max_steps=many: allowed: an integer"),
        (["machine=bb3", "path=fast"], "path=fast: allowed: 'discrete' or 'dense'"),
        (["machine=bb3", "simulate=bb2"], "simulate=bb2: only machine=universal simulates"),
        (["machine=universal", "simulate=bb2x3"], "simulate=bb2x3: has 1 tapes and 3 symbols"),
        (["machine=bb3", "json=one", "png=one"], "png=one: json= is to be written there; allowed: another file"),
        (["machine=bb3", "png=no/where.png"], "png=no/where.png: cannot be written"),
        (["machine=bb3", "run_dir=/proc/x"], "run_dir=/proc/x: cannot be written"),
        (["machine=bb3", "colour=red"], "colour=red: no such key; allowed: machine, input"),
    ],
)
def test_mistakes_are_one_line(refused, words, message):
    assert refused("turing", *words).startswith("ntm.turing: error: " + message)


def test_a_machine_that_is_between_symbols_stops_in_one_line(run, tmp_path, capsys):
    run("train", "task=turing", "turing=binary_increment", "trainer.max_steps=1", "run_dir=fresh")
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run("turing", "machine=fresh", "input=1")
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("ntm.turing: stopped: not a discrete machine: register right, symbols 1")
    assert error.count("\n") == 1
    with pytest.raises(SystemExit) as ended:
        run("turing", "machine=fresh", "input=1", "run_dir=again")
    assert ended.value.code == 2


def test_a_name_means_the_shipped_table_and_a_file_the_checkpoint(run, tmp_path, capsys):
    (tmp_path / "bb3").mkdir()
    run("turing", "machine=bb3", "run_dir=saved")
    (tmp_path / "saved/last.ckpt").rename(tmp_path / "weights.pt")
    run("turing", "machine=weights.pt")
    assert capsys.readouterr().out.count("in state Z after 21 steps") == 2
    (tmp_path / "other.pt").write_bytes(b"nothing")
    with pytest.raises(SystemExit):
        run("turing", "machine=other.pt")
    assert "machine=other.pt: not a checkpoint" in capsys.readouterr().err
