"""Several runs of a sweep at once: how many, with what each has alone, and however one of them or all of them end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from apart import LONG
from conftest import TINY
from test_resume import same

from ntm import UserError, runs, sizes, sweep

ENDLESS = ["trainer.max_steps=1000000", "trainer.stop_when_solved=false", "run_dir='${seed}'"]


@pytest.mark.parametrize(
    ("asked", "needs", "threads", "gpu", "number"),
    [
        ("auto", [1] * 9, 1, False, 4),
        ("auto", [1] * 9, 2, False, 2),
        ("auto", [1] * 9, 9, False, 1),
        ("auto", [1] * 3, 1, False, 3),
        ("auto", [1] * 9, 1, True, 1),
        ("auto", [10**8, 4 * 10**8, 10**8, 10**8], 1, False, 3),  # two of these and the large one fit
        ("auto", [2 * 10**9] * 2, 1, False, 1),
        (7, [1] * 9, 1, False, 7),
        (7, [1] * 2, 1, True, 2),
        (1, [2 * 10**9] * 2, 1, False, 1),
    ],
)
def test_as_many_as_cores_and_memory_let(monkeypatch, asked, needs, threads, gpu, number):
    monkeypatch.setattr(sizes, "available", lambda: 10**9)
    monkeypatch.setattr(sweep, "cores", lambda: 4)
    assert sweep.at_once(asked, needs, threads, gpu) == number


def test_more_than_fit_are_refused(monkeypatch):
    monkeypatch.setattr(sizes, "available", lambda: 10**9)
    with pytest.raises(UserError, match=r"at_once=3: 3 of these runs together need at least 1\.2 GB, and 1\.0 GB are free"):
        sweep.at_once(3, [3 * 10**8] * 9, 1, False)


def test_two_that_begin_in_one_second_have_two_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    free = iter([Path("taken"), Path("other")])
    monkeypatch.setattr(runs, "unused", lambda dated: next(free))  # the first was free when it was looked for
    assert runs.new_folder("copy", None) == Path("other")


@pytest.fixture
def start():
    """Start a sweep of tiny runs in a process of its own, as a shell does; gone, with its runs, when the test is over."""
    started = []

    def call(*words):
        command = [sys.executable, "-m", "ntm.train", "-m", *TINY, *words]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield call
    for process in started:
        process.kill()
        process.communicate()


def wait_for(there):
    """Wait until something is there."""
    deadline = time.monotonic() + LONG
    while not there() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert there()


def test_each_is_what_it_is_alone_and_one_that_fails_stops_no_other(run, start):
    words = ["trainer.max_steps=10", "optimizer.max_skips=3"]
    sweeping = start(*words, "optimizer.lr=1e+30,0.003,0.002", "run_dir='odd name/it\\'s ${optimizer.lr}'", "at_once=2")
    out, told = sweeping.communicate(timeout=LONG)
    assert sweeping.returncode == 1, told
    assert told.startswith("ntm.train: 1 of 3 runs failed: optimizer.lr=1e+30 (stopped ")
    assert told.count("\n") == 1
    lines = out.splitlines()
    assert all(line.startswith("optimizer.lr=") and " | " in line for line in lines)
    for lr in ("0.003", "0.002"):
        assert any(line.startswith(f"optimizer.lr={lr} | 10/10  loss") for line in lines)
        assert any(line.startswith(f"optimizer.lr={lr} | done after") for line in lines)
        run("train", *TINY, *words, f"optimizer.lr={lr}", f"run_dir={lr}")
        assert same(Path(lr, "last.ckpt"), Path(f"odd name/it's {lr}/last.ckpt"))
    assert any(line.startswith("optimizer.lr=1e+30 | exit code 1 after") for line in lines)
    assert lines.index(next(x for x in lines if x.startswith("optimizer.lr=0.003"))) < lines.index(
        next(x for x in lines if x.startswith("optimizer.lr=1e+30 | exit"))
    )  # both were there at once


def test_one_signal_ends_all_and_each_can_go_on(tmp_path, monkeypatch, start):
    monkeypatch.chdir(tmp_path)
    sweeping = start(*ENDLESS, "seed=0,1,2", "at_once=2")
    wait_for(lambda: all(Path(name, "best.ckpt").exists() for name in "01"))
    sweeping.send_signal(signal.SIGINT)
    out, told = sweeping.communicate(timeout=LONG)
    assert (sweeping.returncode, told) == (130, "ntm.train: stopped by Ctrl-C\n")
    for name in "01":
        (line,) = (line for line in out.splitlines() if line.startswith(f"seed={name} | ntm.train: stopped"))
        assert line.endswith(f"python -m ntm.train resume={name} goes on")
        assert int(line.split("after update ")[1].partition(";")[0]) == runs.read("run", Path(name, "last.ckpt")).updates
    (line,) = (line for line in out.splitlines() if line.startswith("seed=2"))
    assert line.startswith("seed=2 | not begun; python -m ntm.train ")
    assert "'run_dir=${seed}'" in line
    assert "at_once" not in line
    assert not Path("2").exists()


def test_a_sweep_that_is_killed_takes_its_runs_with_it(tmp_path, monkeypatch, start):
    monkeypatch.chdir(tmp_path)
    sweeping = start(*ENDLESS, "trainer.val_every=1000000", "trainer.save_every=1", "seed=0,1", "at_once=2")
    wait_for(lambda: all(Path(name, "last.before.ckpt").exists() for name in "01"))
    os.kill(sweeping.pid, signal.SIGKILL)
    sweeping.wait()

    def over():
        try:
            with runs.locked("resume", Path("0")), runs.locked("resume", Path("1")):
                return True
        except UserError:
            return False

    wait_for(over)
    assert all(runs.read("run", Path(name, "last.ckpt")).updates > 0 for name in "01")
