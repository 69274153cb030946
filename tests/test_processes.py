"""Several processes that train one model: the losses of one, agreed in everything, and one log; started by anybody."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import torch
from apart import LONG, apart, code_of
from conftest import TINY
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from test_resume import same
from torture.kills import scalars

TWO = ["trainer.devices=2", "trainer.strategy=ddp"]
WORDS = [*TINY, "trainer.log_every=1", "trainer.stop_when_solved=false", "trainer.batch_size=5"]  # uneven: 3 rows and 2
SLURM = {"SLURM_NTASKS": "2", "SLURM_JOB_ID": "12345", "SLURM_JOB_NAME": "ntm", "SLURM_NODEID": "0", "SLURM_NNODES": "1"}
FAR = 1e-5
"""Relative. A sum over two processes is rounded otherwise than one over all rows, by 1e-7; each update on top of it grows that."""


@pytest.fixture
def start(run):
    """Start a command in a process of its own, which may start others; gone, with those, when the test is over."""
    started = []

    def call(*words, env=None, program=("-m", "ntm.train"), stderr=subprocess.PIPE):
        """In a group of its own, which its children are in too."""
        said = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True, "process_group": 0}
        started.append(subprocess.Popen([sys.executable, *program, *words], env={**os.environ, **(env or {})}, **said))
        return started[-1]

    yield call
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def two(*words):
    """A run of two processes to its end, which need not import first."""
    places = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}
    places |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}
    with ExitStack() as both:
        ranks = [{**places, "RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
        started = [both.enter_context(apart("train", *words, env=env, out=f"out{env['RANK']}")) for env in ranks]
        assert [code_of(process) for process in started] == [0, 0], Path("out0").read_text()


@pytest.fixture
def train(start):
    """A command in processes of its own, to its end: its exit code, and what it said."""

    def call(*words, **given):
        process = start(*words, **given)
        out, told = process.communicate(timeout=LONG)
        return subprocess.CompletedProcess(process.args, process.returncode, out, told)

    return call


def wait_for(there):
    """Wait until something is there, and return it."""
    deadline = time.monotonic() + LONG
    while not (found := there()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found
    return found


def child_of(process):
    """The process that another one has started to train with it, or None."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()  # a compiler is one, too
    return next((int(c) for c in children if b"ddp_process" in Path(f"/proc/{c}/cmdline").read_bytes()), None)


def close(one, other, far=FAR):
    """Whether two runs logged the same at the same updates, and have the same weights, but for rounding."""
    before, after = scalars(Path(one)), scalars(Path(other))
    assert before.keys() == after.keys()
    for tag, values in before.items():
        assert [step for step, _ in values] == [step for step, _ in after[tag]], tag
        assert [v for _, v in after[tag]] == pytest.approx([v for _, v in values], rel=far, abs=far), tag
    a, b = (torch.load(Path(run) / "last.ckpt") for run in (one, other))
    torch.testing.assert_close(a["state_dict"], b["state_dict"], rtol=100 * far, atol=100 * far)
    return {**a["ntm"], "config": 0, "best": 0, "progress": 0} == {**b["ntm"], "config": 0, "best": 0, "progress": 0}


@pytest.mark.parametrize("mean_over", ["bits", "sequences"])
def test_two_processes_have_the_losses_of_one_and_one_voice(run, train, capsys, mean_over):
    words = [*WORDS, f"trainer.mean_over={mean_over}", "trainer.max_steps=20"]
    run("train", *words, "run_dir=one")
    alone = capsys.readouterr().out
    done = train(*words, *TWO, "run_dir=two")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(alone.splitlines())
    assert close("one", "two")
    assert len(list(Path("two").glob("events*"))) == 1


def test_a_run_goes_on_with_another_number_of_processes(run, train):
    words = [*WORDS, "trainer.max_steps=24"]
    run("train", *words, "run_dir=straight")
    run("train", *words, "trainer.max_steps=7", "run_dir=run")
    assert train("resume=run", "trainer.max_steps=16", *TWO).returncode == 0
    saved = torch.load("run/last.ckpt")["ntm"]
    assert (saved["updates"], saved["config"]["trainer"]["devices"]) == (16, 2)
    run("train", "resume=run", "trainer.max_steps=24", "trainer.devices=1")
    assert close("straight", "run")


ENDS = {
    "the first, killed": (0, signal.SIGKILL),
    "the second, killed": (1, signal.SIGKILL),
    "the second, asked": (1, signal.SIGTERM),
}


def end_one(process, which, number):
    """Send a signal to one of two, wait for both, and return what they said."""
    child = child_of(process)
    os.kill([process.pid, child][which], number)
    _, told = process.communicate(timeout=LONG)
    wait_for(lambda: not Path(f"/proc/{child}").exists())  # nobody is left behind
    return told


@pytest.mark.parametrize("end", ENDS)
def test_one_of_two_ends_and_the_run_goes_on_exactly(start, end):
    which, number = ENDS[end]
    words = [*WORDS, *TWO, "trainer.save_every=1", "trainer.max_steps=100000"]
    process = start(*words, "run_dir=run")
    wait_for(Path("run/best.ckpt").exists)
    told = end_one(process, which, number)
    expected = {"the first, killed": -signal.SIGKILL, "the second, killed": 1, "the second, asked": 143}[end]
    assert process.returncode == expected
    assert told.count("\n") == (0 if which == 0 else 1), told
    done = torch.load("run/last.ckpt")["ntm"]["updates"]
    two("resume=run", f"trainer.max_steps={done + 7}")
    two(*words, f"trainer.max_steps={done + 7}", "run_dir=straight")
    assert same(Path("straight/last.ckpt"), Path("run/last.ckpt"))
    assert same(Path("straight/best.ckpt"), Path("run/best.ckpt"))
    assert scalars(Path("straight")) == scalars(Path("run"))


STAYING = """
import os, time
from pathlib import Path
from ntm import train
from ntm.training import processes

def stay(*given):
    Path("waits").touch()
    time.sleep(3600)

{lines}
if __name__ == "__main__":
    train.main()
"""
SOON = "processes.PATIENCE = 0.5"
DEAF = "if 'LOCAL_RANK' not in os.environ: processes.found_by_any = stay"
JOINED = "processes.PATIENCE = 3600; processes.distributed.destroy_process_group = stay"


@pytest.mark.parametrize(
    ("which", "lines", "there"),
    [
        (0, SOON, child_of),  # before they have met: the second asks for the first, and nobody answers
        (1, SOON, child_of),  # the first waits for the second to come
        (1, f"{SOON}\n{DEAF}", lambda _: Path("waits").exists()),  # gloo misses about one kill of 400
        (0, JOINED, lambda _: Path("run/best.ckpt").exists()),  # gloo's threads are joined for ever
        (1, JOINED, lambda _: Path("run/best.ckpt").exists()),
    ],
)
def test_nobody_waits_for_one_that_is_gone(start, which, lines, there):
    Path("staying.py").write_text(STAYING.format(lines=lines))
    process = start(*WORDS, *TWO, "trainer.max_steps=100000", "run_dir=run", program=["staying.py"])
    wait_for(lambda: there(process))
    told = end_one(process, which, signal.SIGKILL)
    goes_on = "ntm.train: stopped because another of its processes is gone; python -m ntm.train resume=run goes on\n"
    assert (process.returncode, told) == ((-signal.SIGKILL, "") if which == 0 else (1, goes_on))


SPOILT = """
import os
import torch
from ntm import train
from ntm.training.module import LitModel

second, update = os.environ.get("LOCAL_RANK") == "1", LitModel.update

def spoiling(self, draw, optimizer):
    learn, moments = self.model.learn, self.kept.optimizer.state
    if second and self.progress.updates == 4:
        self.model.learn = lambda *given: learn(*given)._replace(loss=learn(*given).loss * torch.nan)
    if second and self.progress.updates == 7:
        next(iter(moments.values()))["exp_avg_sq"].fill_(torch.nan)
    try:
        return update(self, draw, optimizer)
    finally:
        self.model.learn = learn

LitModel.update = spoiling
if __name__ == "__main__":
    train.main()
"""


def test_what_is_not_finite_in_one_is_refused_by_both(train):
    Path("spoilt.py").write_text(SPOILT)
    done = train(*WORDS, *TWO, "trainer.max_steps=12", "run_dir=run", program=["spoilt.py"])
    assert (done.returncode, done.stderr) == (0, "")
    saved = torch.load("run/last.ckpt")
    assert saved["ntm"]["skips"]["total"] == 2
    assert saved["ntm"]["updates"] == 12
    assert "in another process" in saved["ntm"]["skips"]["offender"]
    assert all(torch.isfinite(weight).all() for weight in saved["state_dict"].values())


def test_variables_of_slurm_do_no_harm_to_a_run_of_one(run, monkeypatch):
    run("train", *WORDS, "trainer.max_steps=6", "run_dir=one")
    for name, value in {**SLURM, "SLURM_PROCID": "1", "SLURM_LOCALID": "1"}.items():
        monkeypatch.setenv(name, value)
    run("train", *WORDS, "trainer.max_steps=6", "run_dir=two")
    assert same(Path("one/last.ckpt"), Path("two/last.ckpt"))
    assert scalars(Path("one")) == scalars(Path("two"))


def test_started_by_slurm(run, start):
    words = [*WORDS, *TWO, "trainer.max_steps=6", "run_dir=run"]
    tasks = []
    for rank in ("0", "1"):
        places = {**SLURM, "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": rank, "SLURM_LOCALID": rank, "SLURM_NODELIST": "127.0.0.1"}
        tasks.append(start(*words, env=places, stderr=subprocess.STDOUT))
    first, second = (task.communicate(timeout=LONG)[0] for task in tasks)
    assert [task.returncode for task in tasks] == [0, 0]
    assert "errors by length" in first
    assert second == ""
    run("train", *WORDS, "trainer.max_steps=6", "run_dir=alone")
    assert close("alone", "run")


def test_started_by_torchrun(run, train):
    starts = ["-m", "torch.distributed.run", "--nproc_per_node=2", "-m", "ntm.train"]
    assert train(*WORDS, *TWO, "trainer.max_steps=6", "run_dir=run", program=starts).returncode == 0
    run("train", *WORDS, "trainer.max_steps=6", "run_dir=alone")
    assert close("alone", "run")


@pytest.mark.parametrize(
    ("words", "env", "named"),
    [
        ([], {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2"}, "torchrun has started 2 process(es), not 1"),
        (TWO, {**SLURM, "SLURM_PROCID": "0", "SLURM_NTASKS": "3"}, "SLURM has started 3 process(es), not 2"),
        (TWO, {**SLURM, "SLURM_PROCID": "0"}, "--ntasks-per-node=2"),
        (["-m", *TWO, "seed=0,1"], {}, "of one process each"),
    ],
)
def test_another_number_of_processes_than_was_started(refused, monkeypatch, words, env, named):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert named in refused("train", *WORDS, *words)
