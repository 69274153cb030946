"""Wrong command lines, each kind once answered wrongly: one line, exit code 2, nothing made. tests/torture/words.py types more."""

import os
import time
from pathlib import Path

import pytest
from conftest import TINY, composed

from ntm import UserError, runs, sizes, train
from ntm.command import LONGEST, defaults
from ntm.config import build, parse
from ntm.evaluate import rows_of
from ntm.words import CONFIG_DIR

NAME = "x" * 300

LINES = {  # a command line of ntm.train -> what its one line must say
    "model=[lstm,gru]": ["model=[lstm,gru]: no such model", "gru, lstm"],
    "task=[copy]": ["task=[copy]: no such task", "binary_add"],
    "task=${nothing}": ["task=${nothing}: no such task"],
    "-m model=lstm,5": ["model=lstm,5: no such model"],
    "~model": ["~model: must be given", "lstm"],
    "~task": ["~task: must be given", "copy"],
    "~trainer.max_steps": ["trainer.max_steps: must be given"],
    "~nothing": ["~nothing: nothing there to be taken away", "seed"],
    "~": ["~: cannot be read"],
    "=": ["=: cannot be read"],
    "+seed=1": ["+seed=1: this key is there already", "allowed: seed=1"],
    "+model=lstm": ["model: chosen twice", "allowed: model=<choice>"],
    "++foo.bar=1": ["foo={'bar': 1}: no such key", "seed"],
    "+task.foo=1": ["task.foo=1: no such key", "width"],
    "+model.heads.foo=1": ["model.heads.foo=1: no such key", "read, write"],
    "turing=bb4": ["turing=bb4: no such key", "task=turing"],
    "seed=0,a": ["seed=0,a: several values", "-m"],
    "seed=${seed}": ["seed=${seed}: names nothing"],
    "optimizer.lr=${nothing}": ["optimizer.lr=${nothing}: names nothing"],
    "run_dir=${nothing}": ["run_dir=${nothing}: names nothing"],
    "seed=" + "[" * 3000: ["seed=[[[", "cannot be read"],
    "seed=" + "1" * 100_000: ["seed=1111", "100,005 characters", "at most 20,000"],
    "run_dir=a\0b": ["run_dir=a", "no text"],
    "run_dir=\udcff": ["run_dir=", "no text"],
    "task.lengths=[]": ["task.lengths=[]: too short; allowed: a list of two"],
    "task.lengths=[1]": ["task.lengths=[1]: too short"],
    "run_dir=.": ["run_dir=", "must be given"],
    "run_dir=a/..": ["run_dir=", "must be given"],
    "run_dir=..": ["run_dir=..: not empty"],
    "run_dir=/": ["run_dir=/: not empty"],
    f"run_dir=a/b/{NAME}": ["cannot be written (File name too long)"],
    "hydra.run.dir=made trainer.max_steps=0": ["hydra.run.dir=made: of no use here", "run_dir="],
    "hydra.output_subdir=made trainer.max_steps=0": ["hydra.output_subdir=made: of no use here"],
    "hydra.sweep.dir=made trainer.max_steps=0": ["hydra.sweep.dir=made: of no use here"],
    "--config-name evaluate": ["--config-name: of no use here", "key=value"],
    "--config-path nowhere": ["--config-path: of no use here"],
    "--config-dir nowhere": ["--config-dir nowhere: no such folder"],
    "--experimental-rerun x": ["--experimental-rerun: of no use here"],
    "--bogus": ["--bogus: no such option", "--cfg job"],
    "-m seed=0,a": ["seed=a", "integer"],
    "seed=0,1 -m trainer.max_steps=1,0": ["trainer.max_steps=0", "greater than or equal to 1"],
    "--multi seed=0,a": ["seed=a", "integer"],
    "-m seed=0,1 +foo=1": ["foo=1: no such key"],
    "at_once=0": ["at_once=0", "auto, or an integer from 1"],
    "-m seed=0,1 at_once=two": ["at_once=two", "auto, or an integer from 1"],
    "-m seed=0,1 at_once=1,2": ["at_once=1,2", "one value"],
    "-m seed=range(0,1000000)": ["1,000,000 runs", "at most 1,000"],
    "-m seed=glob(*)": ["seed=glob(*): cannot be listed"],
    "-m seed=0,1 run_dir=same": ["run_dir=same: two runs of this sweep have it"],
    "-m seed=0,1 run_dir=..": ["run_dir=..: not empty"],
    "-m seed=0,1 resume=nowhere": ["resume=nowhere: no such file"],
    "-m seed=0,1 hydra.sweep.dir=/proc/x": ["/proc/x", "allowed"],
    "trainer.devices=2 trainer.batch_size=1": ["trainer.batch_size=1", "trainer.devices=2", "at least 2"],
    "trainer.devices=2 trainer.val_sequences=1": ["trainer.val_sequences=1", "trainer.devices=2"],
    "trainer.devices=1000 trainer.batch_size=1000 trainer.val_sequences=1000": ["trainer.devices=1000", "GB are free"],
    "trainer.num_nodes=2": ["trainer.num_nodes=2", "torchrun"],
    "model=lstm model.layers=1000": ["model.layers=1000", "less than or equal to 64"],
}


@pytest.mark.parametrize("line", LINES, ids=lambda line: ascii(line[:60]))
def test_a_line_of_train(refused, line):
    said = refused("train", *line.split(" "))
    assert all(part in said for part in LINES[line]), said
    assert len(said) < LONGEST + 100


OTHERS = [  # of the other commands
    ("evaluate", ["task=copy"], ["task=copy: no such key", "lengths"]),
    ("evaluate", ["~json"], ["~json: cannot be taken away"]),
    ("evaluate", ["~slots"], ["~slots: cannot be taken away"]),
    ("evaluate", ["-m", "lengths=[1],[0]"], ["-m: only ntm.train sweeps"]),
    ("evaluate", ["--config-name", "train"], ["--config-name: of no use here"]),
    ("evaluate", ["hydra.run.dir=made"], ["hydra.run.dir=made: of no use here"]),
    ("turing", ["machine=bb2", "json=/dev/full"], ["json=/dev/full", "No space left"]),
    ("turing", ["machine=bb2", "run_dir=a/.."], ["run_dir=", "must be given"]),
    ("certify", ["run=bb2", "export="], ["export=", "must be given"]),
    ("certify", ["run=bb2", f"export=a/{NAME}"], ["File name too long"]),
    ("certify", ["run=my_run"], ["run=my_run: no such table", "a run's folder, or a checkpoint file"]),
    ("multiply", ["a=1", "b=2", "run=no", "clock=a,b (1)"], ["run=no: no such file"]),
    ("multiply", ["a=1,2", "b=2"], ["a=1,2: allowed: decimal digits"]),
    ("evaluate", ["sequences=1,2"], ["sequences=1,2: several values; allowed: one, or a list as [a,b]"]),
]


@pytest.mark.parametrize(("command", "words", "parts"), OTHERS, ids=lambda part: ascii(str(part)[:40]))
def test_a_line_of_another_command(refused, command, words, parts):
    said = refused(command, *words)
    assert all(part in said for part in parts), said


@pytest.mark.parametrize("name", ["train", "evaluate", "multiply", "certify", "turing", "study"])
def test_help_is_what_the_command_says_of_its_own_keys(run, capsys, tmp_path, name):
    run(name, "--help")
    shown = capsys.readouterr().out
    assert shown.startswith(f"python -m ntm.{name} ")
    assert all(f"\n{key}: " in shown.replace('"', "") for key in defaults(name, []) if not (CONFIG_DIR / key).is_dir())
    assert ("\ntask=<one of> arithmetic, binary_add, " in shown) == (name == "train")
    assert not list(tmp_path.iterdir())


def test_a_folder_by_its_whole_name_is_still_the_one_you_are_in(refused, tmp_path):
    assert f"run_dir={tmp_path}: is the folder you are in; allowed: " in refused("train", f"run_dir={tmp_path}")


@pytest.mark.parametrize("text", ["states: \x07\n", "[" * 3000, "a: &a [x, x]\nb: [*a]\n", "a: 1\na: 2\n", "a: \udcff"])
@pytest.mark.parametrize(("command", "key"), [("turing", "machine"), ("certify", "reference"), ("train", "turing")])
def test_a_hostile_table(refused, tmp_path_factory, command, key, text):
    file = tmp_path_factory.mktemp("tables") / "table.yaml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    words = {"train": ["task=turing"], "certify": ["run=bb2"], "turing": []}[command]
    assert f"{key}={file}: is not" in refused(command, *words, f"{key}={file}")


def test_options_stand_where_one_likes(run, capsys):
    run("train", "seed=3", "--cfg", "job", "model=lstm")
    assert "kind: lstm" in capsys.readouterr().out


def test_the_middle_of_a_long_line_is_left_out(refused):
    said = refused("train", "model.heads.kind=" + "x" * 5000)
    assert "model.heads.kind=xxx" in said
    assert " ... " in said
    assert said.endswith("'ntm', 'tape'\n")


def test_memory_that_runs_out_gets_one_line(run, capsys, monkeypatch):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000000000 bytes")

    monkeypatch.setattr(train, "train", full)
    with pytest.raises(SystemExit) as ended:
        run("train", *TINY)
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "not enough memory" in line


FITS = [
    ["task=copy"],
    ["task=binary_mul"],
    ["task=repeat_copy"],
    ["task=turing"],
    ["model=transformer"],
    ["model=lstm"],
    ["task=copy", "task.val_lengths=[2000]"],
    ["task=copy", "task.test_lengths=[10000]"],
    ["task=turing", "task.lengths=[1,1000000]"],  # of which 500 ticks are run
    ["task=copy", "task.lengths=[1,50]", "model.slots=60"],
]


@pytest.mark.parametrize("words", FITS, ids=" ".join)
def test_what_fits_is_not_refused_and_soon_known(monkeypatch, words):
    config = parse(composed(*words))
    monkeypatch.setattr(sizes, "available", lambda: 8 * 10**9)
    start = time.process_time()
    train.check(config)
    assert time.process_time() - start < 2


TOO_LARGE = [  # what does not fit into 1 GB -> the key that the line names
    (["model.slots=1000000"], "model.slots"),
    (["model.slot_width=1000000000"], "model.slot_width"),
    (["model.controller.hidden=[1000000000,1000000000]"], "model.controller.hidden"),
    (["model.controller.register=1000000000000"], "model.controller.register"),
    (["task.width=1000000000"], "task.width"),
    (["trainer.batch_size=100000"], "trainer.batch_size"),
    (["trainer.val_sequences=1000000000"], "trainer.val_sequences"),
    (["task.val_lengths=[1000000000]"], "task.val_lengths"),
    (["task.test_lengths=[1000000000]"], "task.test_lengths"),
    (["task.probe_length=1000000000"], "task.probe_length"),
    (["model=transformer", "model.width=1000000"], "model.width"),
    (["model=lstm", "model.layers=64", "model.width=1000000"], "model.layers"),
    (["task=turing", "task.val_lengths=[1000000000]"], "task.val_lengths"),
    (["task.lengths=[1,1000000000]", "model.slots=2000000000"], "task.lengths"),
]


@pytest.mark.parametrize(("words", "key"), TOO_LARGE, ids=lambda part: str(part)[:50])
def test_what_cannot_fit_is_refused_before_it_is_there(monkeypatch, words, key):
    config = parse(composed(*words))
    monkeypatch.setattr(sizes, "available", lambda: 10**9)
    with pytest.raises(UserError, match=r"need(s)? at least [\d,.]+ \w+, and 1.0 GB are free; allowed") as refusal:
        train.check(config)
    assert key in str(refusal.value)


def test_large_memories_and_long_sequences_are_evaluated(monkeypatch):
    config = parse(composed("task=copy"))
    monkeypatch.setattr(sizes, "available", lambda: 2 * 10**9)
    sizes.check_run(build(config), config.task, "lengths", rows_of(config.task, 20, 32), 20, 65_536)
    sizes.check_run(build(config), config.task, "lengths", rows_of(config.task, 10_000, 32), 10_000, None)
    with pytest.raises(UserError, match="lengths: 32 sequences at once need"):
        sizes.check_run(build(config), config.task, "lengths", rows_of(config.task, 20, 32), 20, 1 << 30)


def test_a_folder_that_another_process_made_is_left(tmp_path, monkeypatch):
    made = tmp_path / "run"
    monkeypatch.setattr(Path, "exists", lambda path: path != made and os.path.exists(path))
    made.mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        runs.take("run_dir", made, "a new folder")
    assert made.is_dir()


@pytest.mark.parametrize("command", ["turing machine", "certify run"])
@pytest.mark.parametrize("size", [300, 5_000])
def test_a_text_that_is_too_long_for_a_name(refused, command, size):
    name, key = command.split()
    assert f"{key}=xxx" in refused(name, f"{key}={'x' * size}")
