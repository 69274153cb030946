"""Several processes that train one model: the losses of one, agreed in everything, and one log; started by anybody."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import TINY
from test_resume import same
from torture.kills import scalars

TWO = ["trainer.devices=2", "trainer.strategy=ddp"]
WORDS = [*TINY, "trainer.log_every=1", "trainer.stop_when_solved=false", "trainer.batch_size=5"]  # uneven: 3 rows and 2
SLURM = {"SLURM_NTASKS": "2", "SLURM_JOB_ID": "12345", "SLURM_JOB_NAME": "ntm", "SLURM_NODEID": "0", "SLURM_NNODES": "1"}
FAR = 1e-5
"""Relative. A sum over two processes is rounded otherwise than one over all rows, by 1e-7; each update on top of it grows that."""


def train(*words, env=None, program=("-m", "ntm.train")):
    """A command in a process of its own, which may start others."""
    said = {"capture_output": True, "text": True, "check": False, "timeout": 120}
    return subprocess.run([sys.executable, *program, *words], env={**os.environ, **(env or {})}, **said)


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
def test_two_processes_have_the_losses_of_one_and_one_voice(run, capsys, mean_over):
    words = [*WORDS, f"trainer.mean_over={mean_over}", "trainer.max_steps=20"]
    run("train", *words, "run_dir=one")
    alone = capsys.readouterr().out
    done = train(*words, *TWO, "run_dir=two")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(alone.splitlines())
    assert close("one", "two")
    assert len(list(Path("two").glob("events*"))) == 1


def test_a_run_goes_on_with_another_number_of_processes(run):
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


@pytest.mark.parametrize("end", ENDS)
def test_one_of_two_ends_and_the_run_goes_on_exactly(tmp_path, run, end):
    which, number = ENDS[end]
    words = [*WORDS, *TWO, "trainer.save_every=1", "trainer.max_steps=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ntm.train", *words, "run_dir=run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not Path("run/best.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    os.kill([process.pid, child][which], number)
    _, told = process.communicate(timeout=60)
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:  # nobody is left behind
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()
    expected = {"the first, killed": -signal.SIGKILL, "the second, killed": 1, "the second, asked": 143}[end]
    assert process.returncode == expected
    assert told.count("\n") == (0 if which == 0 else 1), told
    done = torch.load("run/last.ckpt")["ntm"]["updates"]
    assert train("resume=run", f"trainer.max_steps={done + 7}").returncode == 0
    assert train(*words, f"trainer.max_steps={done + 7}", "run_dir=straight").returncode == 0
    assert same(Path("straight/last.ckpt"), Path("run/last.ckpt"))
    assert same(Path("straight/best.ckpt"), Path("run/best.ckpt"))
    assert scalars(Path("straight")) == scalars(Path("run"))


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


def test_what_is_not_finite_in_one_is_refused_by_both(run):
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


def test_started_by_slurm(run):
    words = [sys.executable, "-m", "ntm.train", *WORDS, *TWO, "trainer.max_steps=6", "run_dir=run"]
    tasks = []
    for rank in ("0", "1"):
        places = {**SLURM, "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": rank, "SLURM_LOCALID": rank, "SLURM_NODELIST": "127.0.0.1"}
        tasks.append(
            subprocess.Popen(words, env={**os.environ, **places}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    first, second = (task.communicate()[0] for task in tasks)
    assert [task.returncode for task in tasks] == [0, 0]
    assert "errors by length" in first
    assert second == ""
    run("train", *WORDS, "trainer.max_steps=6", "run_dir=alone")
    assert close("alone", "run")


def test_started_by_torchrun(run):
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
