"""Where the fused step's library comes from, on machines with and without a compiler, and what no accident may leave."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from apart import LONG
from both_steps import needs_library
from conftest import TINY
from torch.testing import assert_close

from ntm import NTM
from ntm.errors import UserError
from ntm.models.machine.fused import library

LOAD = f"import runpy; print(runpy.run_path({str(library.SOURCES / 'library.py')!r})['load']().told)"


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    """An empty place for libraries, and nothing loaded yet."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    library.load.cache_clear()
    yield folder / "ntm"
    library.load.cache_clear()


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """A library that was built once, with the real compiler."""
    try:
        command = [*library.compiler(), f"-DCHOSEN={library.LANES[library.USUAL]}"]
    except library.NoLibraryError:
        pytest.skip("no C++ compiler")
    made = tmp_path_factory.mktemp("real") / "step.so"
    kept = sorted(library.kept_in().glob(f"{library.name_of(command)}-*.so"))
    if kept:
        shutil.copy(kept[0], made)
    else:
        library.build(command, made)
    return made


@pytest.fixture
def compiler(cache, tmp_path_factory, monkeypatch):
    """A shell script in the compiler's place."""

    def put(script: str) -> Path:
        path = tmp_path_factory.mktemp("bin") / "c++"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))
        return path

    return put


@pytest.fixture
def quick(compiler, real):
    """A compiler that has it ready, after `sleep` where it is asked to."""
    return lambda sleep=0: compiler(f'sleep {sleep}\nfor last; do :; done\ncp {real} "$last"')


def works(loaded):
    """Whether a library does what it is for."""
    return loaded.functions.run_lanes is not None


def files(folder):
    return sorted(folder.rglob("*")) if folder.exists() else []


def test_it_is_built_once(cache, quick):
    compiler = quick()
    first = library.load()
    (kept,) = files(cache)
    assert first.told == f"fused step (built in 0 s: {kept})"
    library.load.cache_clear()
    compiler.write_text("#!/bin/sh\nexit 1\n")
    again = library.load()
    assert again.told == "fused step"
    assert works(again)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b""), lambda path: truncate(path), lambda path: flip(path)])
def test_a_damaged_one_is_built_again(cache, quick, damage):
    """A library cut in half would end the process, not raise."""
    quick()
    library.load()
    (kept,) = files(cache)
    whole = kept.read_bytes()
    kept.unlink()  # which is loaded here: another file takes its place
    kept.write_bytes(whole)
    damage(kept)
    library.load.cache_clear()
    assert works(library.load())
    assert files(cache) == [kept]
    assert kept.read_bytes() == whole


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_another_source_or_flag_is_another_library(monkeypatch, tmp_path):
    command = ["c++"]
    name = library.name_of(command)
    assert library.name_of(["c++", "-m32"]) != name
    shutil.copytree(library.SOURCES, tmp_path / "sources")
    monkeypatch.setattr(library, "SOURCES", tmp_path / "sources")
    assert library.name_of(command) == name
    (tmp_path / "sources" / "lanes.h").write_text("// another\n")
    assert library.name_of(command) != name


def test_a_compiler_may_have_words_of_its_own(compiler, monkeypatch):
    path = compiler("exit 1")
    monkeypatch.setenv("CXX", f"{path} -one -two")
    assert library.compiler() == [str(path), "-one", "-two"]


WITHOUT = {
    "CXX=/nonexistent": "no C++ compiler: /nonexistent",
    "nothing found": "no C++ compiler: c++, g++ and clang++ are not there",
}


def lacking(what, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    if what == "CXX=/nonexistent":
        monkeypatch.setenv("CXX", "/nonexistent")
    else:
        monkeypatch.setenv("PATH", "")


@pytest.mark.parametrize("what", WITHOUT)
def test_without_a_compiler(cache, monkeypatch, what):
    lacking(what, monkeypatch)
    with pytest.raises(library.NoLibraryError, match=WITHOUT[what].replace("+", r"\+")):
        library.load()
    assert not files(cache)
    layer = NTM(4, 8)
    assert layer(torch.zeros(2, 3, 4))[0].shape == (2, 3, layer.width)
    with pytest.raises(UserError, match=r"no C\+\+ compiler"):
        NTM(4, 8, backend="fused")(torch.zeros(2, 3, 4))


FAILING = {
    "echo 'In file included from x' >&2; printf 'x.h:1: error: b\\377d' >&2; exit 1": r"c\+\+ fails: x.h:1: error: b.d$",
    "exit 1": r"c\+\+ fails: it says nothing$",
    "kill -9 $$": r"c\+\+ fails: it says nothing$",
    "exit 0": "No such file",
    'for last; do :; done; echo text > "$last"': "file too short|invalid ELF header",
    "sleep 5": r"c\+\+ takes over 0 s$",
}


@pytest.mark.parametrize("script", FAILING)
def test_a_compiler_that_fails(cache, compiler, monkeypatch, script):
    compiler(script)
    if "sleep" in script:
        monkeypatch.setattr(library, "LONGEST", 0.1)
    with pytest.raises(library.NoLibraryError, match=FAILING[script]) as told:
        library.load()
    assert "\n" not in str(told.value)
    assert [path for path in files(cache) if path.suffix != ".so"] == []


def test_what_is_no_program_at_all(cache, compiler):
    compiler("").write_bytes(b"\x7fELF nothing")
    with pytest.raises(library.NoLibraryError, match="Exec format error"):
        library.load()


@pytest.mark.parametrize("place", ["a file is there", "no home"])
def test_where_nothing_can_be_kept_it_is_built_for_this_run_alone(cache, quick, monkeypatch, tmp_path, place):
    quick()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if place == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", lambda: nowhere())
    else:
        cache.write_text("")
    loaded = library.load()
    assert loaded.told == "fused step (built in 0 s, for this run alone)"
    assert works(loaded)
    assert files(tmp_path) == []


def nowhere():
    raise RuntimeError("Could not determine home directory.")


def test_a_relative_place_is_none(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert library.kept_in() == Path.home() / ".cache" / "ntm"


def test_two_build_at_once(cache, quick):
    quick(sleep=0.5)
    both = [subprocess.Popen([sys.executable, "-c", LOAD], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        told = [process.communicate(timeout=LONG)[0] for process in both]
    finally:
        for process in both:
            process.kill()
            process.communicate()
    (kept,) = files(cache)
    assert [line.startswith("fused step (built in") and line.endswith(f"s: {kept})\n") for line in told] == [True, True]
    assert library.load().told == "fused step"


def test_a_kill_while_it_is_built_stands_in_nobodys_way(cache, quick):
    quick(sleep=1)
    process = subprocess.Popen([sys.executable, "-c", LOAD])
    try:
        deadline = time.monotonic() + LONG
        while not files(cache) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert list(cache.glob("*.so")) == []
    assert works(library.load())
    assert len(list(cache.glob("*.so"))) == 1


@pytest.mark.parametrize("what", WITHOUT)
def test_training_that_asks_for_it_is_refused_in_a_line(cache, refused, monkeypatch, what):
    lacking(what, monkeypatch)
    line = refused("train", *TINY, "trainer.backend=fused")
    assert line == f"ntm.train: error: trainer.backend=fused: {WITHOUT[what]}; allowed: auto, eager\n"


def test_a_model_without_one_is_refused_in_a_line(refused):
    words = [word for word in TINY if not word.startswith("model.")]
    line = refused("train", *words, "model=lstm", "trainer.backend=fused")
    assert line == "ntm.train: error: trainer.backend=fused: this model has no fused step; allowed: auto, eager\n"


def test_training_by_itself_says_what_it_goes_by(cache, run, monkeypatch, capsys):
    lacking("CXX=/nonexistent", monkeypatch)
    run("train", *TINY, "trainer.max_steps=5", "run_dir=made")
    assert "eager step (no C++ compiler: /nonexistent)" in capsys.readouterr().out
    assert not files(cache)


@needs_library
def test_either_step_goes_on_where_the_other_stopped(run, capsys):
    def weights(folder):
        return torch.load(Path(folder) / "last.ckpt", weights_only=True)["state_dict"]

    for backend, other in (("eager", "fused"), ("fused", "eager")):
        run("train", *TINY, "trainer.max_steps=5", f"trainer.backend={backend}", f"run_dir={backend}")
        assert f"{backend} step" in capsys.readouterr().out
        run("train", f"resume={backend}", "trainer.max_steps=10", f"trainer.backend={other}")
        assert f"{other} step" in capsys.readouterr().out
    one, two = weights("eager"), weights("fused")
    assert all(torch.allclose(value, two[name], rtol=1e-3, atol=1e-4) for name, value in one.items())


def test_lanes_that_cannot_be_built_are_done_without(compiler, real):
    """As on a disk that is full meanwhile: few rows are run in the usual lanes then, and float64 by the loop."""
    compiler(f'case "$*" in *"Rows<float, 16>"*) for last; do :; done; cp {real} "$last";; *) exit 1;; esac')
    layer, x = NTM(3, slots=4), torch.rand(2, 3, 3)
    assert_close(layer(x)[0], NTM.forward(layer.double(), x.double())[0].float())
    assert layer.cell.backend == "eager"


@needs_library
def test_registers_of_half_the_width_do_the_same(monkeypatch, request):
    """As on a processor without AVX-512: other sums of the same numbers."""
    if "avx512f" not in library.processor("flags").split():
        pytest.skip("no wider registers here")

    def answer():
        torch.manual_seed(0)
        layer, x = NTM(3, slots=6), torch.rand(20, 9, 3)
        outputs = layer(x)[0]
        outputs.square().sum().backward()
        assert layer.cell.backend != "eager"
        return [outputs, *(p.grad for p in layer.parameters())]

    wide = answer()
    monkeypatch.setattr(library, "FLAGS", (*library.FLAGS, "-mno-avx512f"))
    request.addfinalizer(library.load.cache_clear)  # other tests go on with what fits this processor
    library.load.cache_clear()
    assert_close(answer(), wide, rtol=1e-4, atol=1e-5)
