"""python -m ntm.study: a whole study, its page, what is kept of it, kills, a cluster, mistakes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

TINY = ["first", "study.parts.copy.budgets.quick.seeds=1"]

REFUSED = {
    "budget=bogus": ["budget=bogus", "quick"],
    "page=page.txt": ["page=page.txt", ".md"],
    "study=bogus": ["study=bogus", "first, multiplication"],
    "on=tcp://127.0.0.1:1": ["on=tcp://127.0.0.1:1", "local"],
    "study.parts.copy.rows.GRU.words=['model=bogus']": ["model=bogus: no such model; allowed: "],
    "study.parts.copy.rows.GRU.words=['trainer.batch_size=0']": ["trainer.batch_size=0: ", "(in task=copy"],
    "study.parts.copy.sequences=0": ["study.parts.copy.sequences=0"],
    "+study.parts.copy.inside=9": ["study.parts.copy.inside=9", "lengths; allowed: at most as many"],
}


@pytest.mark.parametrize("word", REFUSED)
def test_mistakes_get_one_line(word, run, capsys):
    words = [word] if word.startswith("study=") else ["first", word]
    with pytest.raises(SystemExit) as ended:
        run("study", *words)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not [part for part in REFUSED[word] if part not in error], error


def test_one_study_at_a_time_and_its_keys_on_either_side(run, capsys):
    with pytest.raises(SystemExit) as ended:
        run("study", "multiplication", "first")
    assert ended.value.code == 2
    assert "study=multiplication study=first: several studies; allowed: one\n" in capsys.readouterr().err
    for words in (["first", "--cfg", "job"], ["--cfg", "job", "first"]):
        run("study", *words)
        assert "title: A first look" in capsys.readouterr().out


def studied(folder, *words, **keywords):
    """`python -m ntm.study` as somebody types it; the process."""
    words = [*TINY, f"folder={folder}", *words]
    return subprocess.Popen(
        [sys.executable, "-m", "ntm.study", *words], stdout=subprocess.PIPE, text=True, cwd=folder.parent, **keywords
    )


def test_a_row_that_cannot_be_composed_gets_one_line_and_no_folder(tmp_path):
    """Typed, not called: of what leaves its main function, Hydra says something itself."""
    process = studied(tmp_path / "study", "study.parts.copy.rows.GRU.words=['model=bogus']", stderr=subprocess.PIPE)
    error = process.communicate()[1]
    assert process.returncode == 2
    assert error.count("\n") == 1, error
    assert "model=bogus: no such model; allowed: " in error
    assert not (tmp_path / "study").exists()


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The folder of the first study, done once without a break, and what it printed."""
    folder = tmp_path_factory.mktemp("study") / "first"
    process = studied(folder)
    printed = process.communicate()[0]
    assert process.returncode == 0
    return folder, printed


def test_the_first_study_has_a_page_with_every_row(first):
    folder, printed = first
    results = json.loads((folder / "results.json").read_text())
    assert {part: list(content["rows"]) for part, content in results["parts"].items()} == {
        "copy": ["GRU", "NTM"],
        "sums": ["linear", "NMU"],
    }
    assert [one["seed"] for one in results["parts"]["sums"]["rows"]["NMU"]["outcomes"]] == [0, 1, 2]
    page = (folder / "first.md").read_text()
    assert all(f"|{row}|" in page and f"* **{row}**: " in page for row in ("GRU", "NTM", "linear", "NMU"))
    assert "![Copy](first-copy.png)" in page
    html = (folder / "first.html").read_text()
    assert html.count("data:image/png;base64,") >= 2
    assert 'src="first-' not in html
    assert (folder / "first-sums.png").read_bytes().startswith(b"\x89PNG")
    assert list((folder / "tensorboard").rglob("events.out*"))
    assert "4/4" in printed


def test_what_is_done_is_known_and_a_row_can_be_added(first):
    folder, _ = first
    before = (folder / "results.json").read_text()
    process = studied(folder, "+study.parts.sums.rows.tanh.words=['model=dense','model.activation=tanh']")
    printed = process.communicate()[0]
    assert process.returncode == 0
    assert "known       4 of 5 jobs" in printed
    results = json.loads((folder / "results.json").read_text())
    assert list(results["parts"]["sums"]["rows"]) == ["linear", "NMU", "tanh"]
    assert studied(folder).communicate()[0].count("known       4 of 4 jobs") == 1
    assert (folder / "results.json").read_text() == before


def test_a_study_that_is_killed_again_and_again_ends_with_the_same_results(first, tmp_path):
    whole, killed = (first[0] / "results.json").read_text(), tmp_path / "killed"
    for wait, how in ((4.0, signal.SIGKILL), (7.0, signal.SIGTERM), (9.0, signal.SIGKILL)):
        process = studied(killed, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        process.send_signal(how)
        process.communicate()
    process = studied(killed)
    process.communicate()
    assert process.returncode == 0
    assert (killed / "results.json").read_text() == whole


def test_two_workers_of_a_cluster_have_the_same_results(first, tmp_path):
    distributed = pytest.importorskip("distributed")
    env = {**os.environ, "PYTHONWARNINGS": "ignore", "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", "s.json"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            "--nworkers",
            "2",
            "--nthreads",
            "1",
            "--no-dashboard",
            "--scheduler-file",
            "s.json",
        ],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "s.json").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        address = json.loads((tmp_path / "s.json").read_text())["address"]
        process = studied(tmp_path / "there", f"on={address}")
        process.communicate()
        assert process.returncode == 0
    finally:
        for started in (worker, scheduler):
            started.terminate()
            started.wait()
    assert (tmp_path / "there/results.json").read_text() == (first[0] / "results.json").read_text()
    assert distributed.__version__
