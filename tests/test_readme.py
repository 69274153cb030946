"""What README says is so: every command in it is run (here, or by .ci/run), its code too, and its tree has every file."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
import yaml
from apart import LONG
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tasks
from tasks.turing import shipped

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
FIRST = [
    "pip install -c constraints.txt -e . && python -m ntm.train task=binary_mul",
    "pip install -c constraints.txt -e '.[dev]' && pytest",
]
COMMANDS = list(dict.fromkeys(re.findall(r"(?:^ {4}|`)((?:python -m|pip|tensorboard) [^`\n]+?)(?:`|$)", README, re.MULTILINE)))
QUICK = ["trainer.max_steps=2", "trainer.val_every=1", "trainer.val_sequences=2"]
SHORTER = {  # what is added to a command so that it takes seconds; the words that the user types stay
    "train": [*QUICK, "trainer.batch_size=2", "task.test_lengths=[3]"],
    "train resumed": ["trainer.max_steps=4"],
    "turing": ["max_steps=200"],
    "evaluate": ["sequences=2"],
    "multiply": [],
    "certify": [],
}
OWN = "python -m ntm.train task=reverse model=window"
STUDIES = [command for command in COMMANDS if command.startswith("python -m ntm.study")]


def code(first_line):
    """The indented block of README that begins with this text."""
    block = re.search(rf"^( {{4}}{re.escape(first_line)}.*\n(?: {{4}}.*\n|\n)*)", README, re.MULTILINE)
    assert block is not None, first_line
    return textwrap.dedent(block[1]).rstrip() + "\n"


def without_own(text):
    """A page without the choices that are README's own examples, of which there are no files."""
    return re.sub(rf"[ ']({'|'.join(shlex.split(OWN)[-2:])})\b", "", text)


def test_the_two_commands_stand_at_the_top():
    assert re.findall(r"^ {4}(pip install.*)$", README, re.MULTILINE) == FIRST
    assert README.index(FIRST[1]) < 250
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text()


@pytest.mark.parametrize("command", [half for line in FIRST for half in line.split(" && ")])
def test_ci_runs_both(command):
    assert re.search(rf"^{re.escape(command)}( |$)", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_it_is_read_in_five_minutes():
    assert len(README.split("## Files")[0].split()) <= 1000


def test_every_file_has_its_line():
    tree = README.split("## Files")[1]
    for folder in ("ntm", "tasks"):
        for path in (ROOT / folder).rglob("*.py"):
            assert path.name == "__init__.py" or path.name in tree, path
    for name in re.findall(r"\w+\.py", tree):
        assert [*(ROOT / "ntm").rglob(name), *(ROOT / "tasks").rglob(name), *(ROOT / "tests").rglob(name)], name


def test_pictures_pages_and_choices_exist():
    for link in re.findall(r"\]\(([^)#]*?)\)", README):
        assert (ROOT / link).exists(), link
    for group, choice in re.findall(r"\b(task|model|experiment|debug)=([a-z_]+)\b", without_own(README)):
        assert (ROOT / "configs" / group / f"{choice}.yaml").exists(), f"{group}={choice}"


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_pages_link_to_what_is_there_and_name_choices_that_are(page):
    text = without_own(page.read_text())
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for group, choice in re.findall(r"python -m ntm\.train[^`\n]*? (task|model|experiment|debug)=([a-z_]+)\b", text):
        assert (ROOT / "configs" / group / f"{choice}.yaml").exists(), f"{group}={choice}"


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_table_is_named(name):
    assert re.search(rf"\b{name}\b", (ROOT / "docs/turing_machines.md").read_text())


def test_there_is_a_row_for_every_network_beside_the_machines():
    for model in ("rnn", "gru", "lstm", "transformer"):
        assert f"python -m ntm.train task=copy model={model}" in COMMANDS


def test_of_the_study_s_ten_the_tape_machine_alone_multiplies():
    rows = json.loads((ROOT / "docs/multiplication.json").read_text())["parts"]["bit_by_bit"]["rows"]
    assert len(rows) == 10
    right = {row for row, found in rows.items() if all(all(one["solved"]) for one in found["outcomes"])}
    somewhere = {row for row, found in rows.items() if any(any(one["solved"]) for one in found["outcomes"])}
    assert right == somewhere == {"tape machine"}


def test_its_commands_run_one_after_the_other(run):
    shutil.copytree(ROOT / "checkpoints/pretrained", "checkpoints/pretrained")
    for command in COMMANDS:
        program, *words = shlex.split(command)
        if program != "python" or command == OWN or command in STUDIES:
            continue
        name = words[1].removeprefix("ntm.")
        run(name, *words[2:], *SHORTER[f"{name} resumed" if "resume=last" in words else name])
    assert {path.name for path in Path().iterdir()} == {"checkpoints", "table.json", "trace.png"}


def test_tensorboard_shows_a_run(run, tmp_path, trained):
    (command,) = (command for command in COMMANDS if command.startswith("tensorboard"))
    Path("checkpoints").symlink_to(trained.parent)
    log = (tmp_path / "log").open("w")
    words = [str(Path(sys.executable).with_name("tensorboard")), *shlex.split(command)[1:], "--port", "0", "--host", "127.0.0.1"]
    server = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + LONG
        while "http://127.0.0.1" not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
            assert server.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        assert "http://127.0.0.1" in (tmp_path / "log").read_text()
    finally:
        server.terminate()
        server.wait()
        log.close()


def test_its_layer_learns_in_its_own_loop():
    text = code("import torch")
    assert len([line for line in text.splitlines() if line.strip()]) == 8
    there = {}
    exec(text, there)
    assert there["loss"].item() < 0.17
    assert there["outputs"].shape == (16, 10, 120)


def test_its_own_task_reverses(tmp_path, monkeypatch):
    (tmp_path / "reverse.py").write_text(code('"""Reverse: '))
    monkeypatch.syspath_prepend(tmp_path)
    import reverse

    task = reverse.Reverse()
    assert isinstance(task, tasks.Task)
    for inputs, targets, mask in zip(*task.batch(0, "train", 0, 4, (2, 5))[:3]):
        length = int(inputs[:, 8].argmax())
        assert torch.equal(targets[mask > 0], inputs[:length, :8].flip(0))
    sys.modules.pop("reverse")


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the project with README's own task and own model: a file, a row and a yaml each."""
    folder = tmp_path_factory.mktemp("extended")
    for part in ("ntm", "tasks", "configs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for kind, name, table, row, about in (
        ("tasks", "reverse", "TASKS", "Reverse", '"""Reverse: '),
        ("ntm/models", "window", "MODELS", "WindowConfig", '"""A window'),
    ):
        (folder / kind / f"{name}.py").write_text(code(about))
        front = folder / kind / "__init__.py"
        module = kind.replace("/", ".")
        lines = re.sub(
            rf"^({table}: .*)$", rf'from {module}.{name} import {row}\n\n\1\n    "{name}": {row},', front.read_text(), flags=re.M
        )
        front.write_text(lines)
    assert len(code('"""A window').splitlines()) < 40
    (task_yaml,) = re.findall(r"`configs/task/reverse.yaml`:\n`(.*?)`", README)
    (model_yaml,) = re.findall(r"`configs/model/window.yaml`: `(.*?)`", README)
    assert yaml.safe_load(task_yaml)["task"]["name"] == "reverse"
    (folder / "configs/task/reverse.yaml").write_text(f"# @package _global_\n{task_yaml}\n")
    (folder / "configs/model/window.yaml").write_text(f"{model_yaml}\n")
    return folder


def test_your_own_task_and_model_are_trained_evaluated_drawn_and_resumed(extended):
    def call(*words):
        done = subprocess.run([sys.executable, *words], cwd=extended, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    tiny = [
        "task.lengths=[1,4]",
        "trainer.max_steps=6",
        "trainer.val_every=3",
        "trainer.save_every=3",
        "trainer.batch_size=2",
        "trainer.val_sequences=2",
    ]
    program, *words = shlex.split(OWN)
    assert program == "python"
    shown = call(*words, *tiny, "run_dir=run")
    assert "a window, 193,544 parameters" in shown
    assert "recipe      neutral" in shown
    call("-m", "ntm.evaluate", "run=run", "lengths=[3,30]", "sequences=2", "json=table.json", "png=trace.png")
    assert (extended / "trace.png").stat().st_size > 1000
    call("-m", "ntm.train", "resume=run", "trainer.max_steps=9")
    call(*words, *tiny, "trainer.max_steps=9", "run_dir=straight")
    same = "import torch; a, b = (torch.load(f'{r}/last.ckpt')['state_dict'] for r in ('run', 'straight')); "
    call("-c", same + "assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)")
    images = EventAccumulator(str(extended / "run"), size_guidance={"images": 0}).Reload().Tags()["images"]
    assert {"images/trace", "images/hidden"} <= set(images)


def test_your_own_model_stands_beside_the_others_in_a_study(extended):
    whole, ablations, with_own = STUDIES
    assert ablations.split()[3] in {path.stem for path in (ROOT / "configs/study").iterdir()}
    assert with_own.startswith(whole)  # the study has a part of this name; a smaller one is run here
    words = ["first" if word == "multiplication" else word for word in shlex.split(with_own)[1:]]
    small = ["study.parts.copy.budgets.quick.seeds=1", "folder=study"]
    done = subprocess.run([sys.executable, *words, *small], cwd=extended, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (extended / "study/first.md").read_text()
    assert "|Window|193,544|" in page
    assert "* **Window**: " in page
    assert yaml.safe_load((ROOT / "configs/study/multiplication.yaml").read_text())["parts"]["copy"]["budgets"]["quick"]


@pytest.mark.parametrize(
    "path", sorted(path for folder in ("ntm", "tasks", "tests") for path in (ROOT / folder).rglob("*.py")), ids=lambda p: p.name
)
def test_no_file_is_longer_than_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 300
