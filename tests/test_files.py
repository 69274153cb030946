"""Checkpoints on disk: what is damaged is named and never loaded, what is foreign is refused, and nothing of it is run or left."""

import errno
import io
import os
import pickle
import random
import shutil
import threading
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import TINY

from ntm import files, runs
from ntm.errors import UserError

NAMES = [runs.LAST, "last.before.ckpt", runs.BEST, "best.before.ckpt"]


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    """A copy of a run with all four checkpoints, each of its own: the updates tell them apart."""
    shutil.copytree(trained, tmp_path / "run")
    for updates, name in enumerate(NAMES):
        checkpoint = torch.load(trained / runs.LAST, weights_only=True)
        checkpoint["ntm"]["updates"] = updates
        (tmp_path / "run" / name).unlink(missing_ok=True)
        files.save(tmp_path / "run" / name, checkpoint)
    return tmp_path / "run"


def changes(content: bytes) -> list[bytes]:
    """Flipped bits and bytes, where the file begins and ends among them, and ends cut off."""
    draw, size = random.Random(0), len(content)
    places = [0, 1, size - 1, size - 71, size - 65, size - 72, size - 73, size - 93, *(draw.randrange(size) for _ in range(24))]
    flipped = [content[:p] + bytes([content[p] ^ draw.choice([1, 32, 64, 128, 255])]) + content[p + 1 :] for p in places]
    return flipped + [content[:keep] for keep in (0, 1, 4, 71, size // 2, size - 93, size - 72, size - 71, size - 35, size - 1)]


@pytest.mark.parametrize("name", [runs.LAST, runs.BEST])
def test_a_changed_file_is_named_and_the_one_before_it_used(folder, name):
    path = folder / name
    whole = path.read_bytes()
    for changed in changes(whole):
        path.write_bytes(changed)
        loaded = runs.read("run", path)
        assert loaded.path == files.before(path)
        assert loaded.updates == NAMES.index(loaded.path.name)
        (reason,) = loaded.damaged
        assert reason.startswith(f"run={path}: ")
        assert reason.endswith(f"; {loaded.path.name}, update {loaded.updates}, is used")
    path.write_bytes(whole)
    assert runs.read("run", path).damaged == ()


def test_with_both_generations_changed_the_other_pair_stands_in_and_with_none_left_nothing_is_loaded(folder):
    for damaged, name in enumerate(NAMES):
        (folder / name).write_bytes((folder / name).read_bytes()[:-1])
        if damaged + 1 < len(NAMES):
            loaded = runs.read("run", folder / runs.LAST)
            assert (loaded.updates, len(loaded.damaged)) == (damaged + 1, damaged + 1)
    with pytest.raises(UserError, match="cut short"):
        runs.read("run", folder / runs.LAST)


def test_a_file_whose_seal_was_taken_off_is_anybodys_own(folder):
    path = folder / runs.LAST
    path.write_bytes(path.read_bytes()[: -files.SEAL - 2] + b"\0\0")
    assert runs.read("run", path).damaged == ()


class Runs:
    """A pickle that would run a command."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def packed() -> bytes:
    """Zeros that a zip file packs a thousandfold."""
    saved, small = io.BytesIO(), io.BytesIO()
    torch.save({"zeros": torch.zeros(10**6)}, saved)
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.namelist():
            new.writestr(item, old.read(item))
    return small.getvalue()


def of_torch(thing) -> bytes:
    """What torch.save makes of a thing."""
    saved = io.BytesIO()
    torch.save(thing, saved)
    return saved.getvalue()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "empty"),
        (b"hello", "not a checkpoint"),
        (b"PK\x03\x04", "cut short"),
        (b"sha256 " + b"0" * 64, "another checksum"),
        (files.sealed(b"PK\x03\x04" + files.END + bytes(18)), "not a checkpoint"),
        (pickle.dumps(Runs()), "not a checkpoint"),
        (of_torch(Runs()), "not a checkpoint"),
        (of_torch(torch.nn.Linear(2, 2)), "not a checkpoint"),
        (of_torch([1, 2]), "another program"),
        (of_torch({"ntm": {"config": 3, "updates": 1}, "state_dict": {}}), "another program"),
        (of_torch(torch.tensor(float("nan"))), "not finite"),
        (of_torch({"more": torch.zeros(1).expand(10**11)}), "not a checkpoint"),
        (of_torch({"more": torch.zeros(1).expand(10**6)}), "not a checkpoint"),
        (packed(), "not a checkpoint"),
    ],
)
def test_a_foreign_file_is_refused_and_not_run(tmp_path, monkeypatch, content, named):
    monkeypatch.chdir(tmp_path)
    Path("x.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=named):
        runs.read("run", Path("x.ckpt"))
    assert os.listdir() == ["x.ckpt"]


@pytest.mark.parametrize("first", [b"", b"PK\x03\x04"])
def test_a_huge_file_is_not_read(tmp_path, first):
    path = tmp_path / "x.ckpt"
    with path.open("wb") as file:
        file.write(first)
        file.truncate(10**13)
        file.seek(0, os.SEEK_END)
        file.write(files.END + bytes(18))
    with pytest.raises(UserError, match="larger than the memory" if first else "not a checkpoint"):
        runs.read("run", path)


def test_a_pipe_a_device_a_loop_and_a_folder_are_no_files(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("folder", "pipe", "device", "loop"):
        with pytest.raises(UserError):
            runs.read("run", runs.find("run", str(tmp_path / name), runs.BEST))


def put(place: str, value):
    """A change of one value in a checkpoint."""

    def change(checkpoint):
        *path, last = place.split(".")
        inside = checkpoint
        for key in path:
            inside = inside[int(key) if key.isdigit() and not isinstance(inside, dict) else key]
        inside[last] = value

    return change


def moments(change):
    """A change of every moment."""

    def changed(checkpoint):
        for state in checkpoint["optimizer_states"][0]["state"].values():
            state.update({key: change(value) for key, value in state.items()})

    return changed


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (put("ntm.updates", True), "another program"),
        (put("ntm.updates", -3), "another program"),
        (put("ntm.updates", 3), "ntm.updates=3"),
        (put("ntm.progress.updates", -3), "ntm.progress.updates=-3"),
        (put("ntm.progress.stage", 2), "stage 3"),
        (put("ntm.progress.error", float("nan")), "ntm.progress.error=nan"),
        (put("ntm.progress.learned_at", 10**9), "latest validation"),
        (put("ntm.best", float("nan")), "ntm.best=nan"),
        (put("ntm.skips.in_a_row", -1), "ntm.skips.in_a_row=-1"),
        (put("ntm.solved", 3), "ntm.solved=3"),
        (put("ntm.config.model.slots", 2**31 - 1), "are free"),
        (
            lambda c: c["state_dict"].update({key: value.to(torch.complex64) for key, value in c["state_dict"].items()}),
            "another program",
        ),
        (put("optimizer_states", [1]), "no moments"),
        (moments(lambda value: value.long()), "no moments"),
        (moments(lambda value: -value - 1), "negative step"),
        (moments(lambda value: value[None]), "no moments"),
    ],
)
def test_a_checkpoint_that_somebody_wrote_himself_is_refused_and_nothing_left_beside_it(
    run, tmp_path, capsys, trained, change, named
):
    checkpoint = torch.load(trained / runs.LAST, weights_only=True)
    change(checkpoint)
    (tmp_path / "alone").mkdir()
    torch.save(checkpoint, tmp_path / "alone" / "x.ckpt")
    with pytest.raises(SystemExit) as ended:
        run("train", "resume=alone/x.ckpt", "trainer.max_steps=12")
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert named in line
    assert [path.name for path in tmp_path.rglob("*")] == ["alone", "x.ckpt"]


def test_a_run_with_more_slots_than_memory_is_not_evaluated(refused, tmp_path_factory, trained):
    checkpoint = torch.load(trained / runs.LAST, weights_only=True)
    checkpoint["ntm"]["config"]["model"]["slots"] = 2**31 - 1
    path = tmp_path_factory.mktemp("slots") / "x.ckpt"
    torch.save(checkpoint, path)
    assert "are free" in refused("evaluate", f"run={path}")


def test_fewer_stages_than_a_run_has_reached(run, tmp_path, capsys):
    stages = ["curriculum.stages=[1,2,3]", "curriculum.advance_below=1", "curriculum.least_batches=1", "trainer.max_steps=6"]
    run("train", *TINY, *stages, "run_dir=run")
    with pytest.raises(SystemExit):
        run("train", "resume=run", "curriculum.stages=[1]", "trainer.max_steps=8")
    assert "curriculum.stages=[1]: this run is at stage " in capsys.readouterr().err


def full(path, content, keep=None):
    """What the disk says when there is no room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@pytest.mark.parametrize("at", ["checkpoints", "events"])
def test_a_full_disk_is_told_in_one_line_and_nothing_is_lost(run, tmp_path, capsys, monkeypatch, at):
    from tensorboard.summary.writer.record_writer import RecordWriter

    run("train", *TINY, "trainer.max_steps=10", "run_dir=run")
    before = (tmp_path / "run" / runs.LAST).read_bytes()
    with monkeypatch.context() as patch:
        if at == "checkpoints":
            patch.setattr(files, "write", lambda path, *rest: None if path.suffix == ".yaml" else full(path, *rest))
        else:
            patch.setattr(RecordWriter, "write", full)
        patch.setattr(threading, "excepthook", threading.__excepthook__)
        with pytest.raises(SystemExit) as ended:
            run("train", "resume=run", "trainer.max_steps=20")
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert "No space left on device" in line
    if at == "checkpoints":
        assert (tmp_path / "run" / runs.LAST).read_bytes() == before
    run("train", "resume=run", "trainer.max_steps=20")
    assert runs.read("run", tmp_path / "run" / runs.LAST).updates == 20
