"""The bench command: floors counted by hand, exponents, races, other people's machines, its table and json. No time is asserted."""

import json
import math
import typing
from pathlib import Path

import conftest
import pytest
import torch

from ntm import bench
from ntm.benches import floor, growth, ours, rivals, solved, steps, timing
from ntm.benches.rivals import Sizes
from ntm.benches.timing import Case
from ntm.config import build
from ntm.errors import UserError

NTM_FILES = {
    "ntm/__init__.py": "",
    "ntm/aio.py": """
import torch
from .width import WIDTH

class EncapsulatedNTM(torch.nn.Module):
    def __init__(self, inputs, outputs, size, layers, heads, slots, slot_width):
        super().__init__()
        assert inputs == WIDTH + 1
        self.linear = torch.nn.Linear(inputs, outputs)

    def init_sequence(self, rows):
        self.silent = torch.zeros(rows, self.linear.in_features)

    def forward(self, x=None):
        return torch.sigmoid(self.linear(self.silent if x is None else x)), None
""",
    "ntm/width.py": "WIDTH = 8\n",
    "tasks/__init__.py": "",
    "tasks/copytask.py": """
import torch
from ntm.aio import EncapsulatedNTM

def attrib(default, converter):
    return converter(default)

class CopyTaskModelTraining:
    rows = attrib(default="2", convert=int)

    def __init__(self):
        self.net = EncapsulatedNTM(9, 8, 4, 1, 1, 8, 3)
        self.optimizer = torch.optim.RMSprop(self.net.parameters(), lr=1e-4, momentum=0.9, alpha=0.95)
        self.criterion = torch.nn.BCELoss()
        self.dataloader = ((n, torch.zeros(3, self.rows, 9), torch.zeros(2, self.rows, 8)) for n in range(10**6))
""",
}
"""The least that can stand for a checkout of pytorch-ntm, with a word that attrs has renamed since."""


APART = ["model.slots=30", "model.slot_width=4", "model.heads.separate=true"]


@pytest.fixture(autouse=True)
def command(monkeypatch):
    monkeypatch.setitem(conftest.COMMANDS, "bench", bench.main)


@pytest.fixture
def checkout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pytorch-ntm")
    for name, text in NTM_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def tiny(monkeypatch):
    """Rows, points and races of milliseconds."""
    small = ["task=copy", "task.lengths=[1,2]", "model.slots=6", "model.slot_width=3", "model.controller.hidden=[8]"]
    monkeypatch.setattr(steps, "ROWS", [steps.Row("small", small, 2, Sizes(8, 6, 3, 2, 2))])
    monkeypatch.setattr(growth, "BASE", {"T": 3, "N": 24, "B": 2, "H": 2})
    monkeypatch.setattr(growth, "AXES", {"T": (2, 4, 8), "H": (2, 4)})
    monkeypatch.setattr(growth, "MEMORY", (4, 8))
    monkeypatch.setattr(growth, "taken_by", lambda ticks: 1000 * ticks**2)
    monkeypatch.setattr(solved, "WORDS", [*solved.WORDS, *small, "trainer.val_every=3", "task.val_lengths=[2]"])
    monkeypatch.setattr(solved, "EVERY", 0.01)
    monkeypatch.setattr(timing, "LEAST", 0)


@pytest.mark.parametrize(
    ("words", "counted"),
    [
        # LSTM; both heads' keys, strengths, gates, shifts and sharpenings; writing; the output; memory
        (steps.LSTM, 4 * 100 * (9 + 20 + 100) + 100 * 2 * 26 + 100 * 40 + 120 * 8 + 128 * 20 * (2 + 1 + 1 + 2)),
        # controller and register; heads; writing; the output; memory
        (["task=copy"], (9 + 20 + 4) * 100 + 100 * 4 + 100 * 2 * 26 + 100 * 40 + 120 * 8 + 32 * 20 * 6),
        (
            ["task=copy", "model.heads.read=3", "model.heads.write=2"],
            (9 + 60 + 4) * 100 + 100 * 4 + 100 * 5 * 26 + 100 * 80 + 160 * 8 + 32 * 20 * (5 + 1 + 3 + 4),
        ),
        # two layers and the register; moves from two flags; writing; the output; memory: two for the write, three seen
        (["task=binary_mul", "model=tape"], (3 + 18 + 4) * 128 + 128 * 128 + 128 * 4 + 2 * 5 + 128 * 12 + 146 + 24 * 6 * 5),
        # two heads, each with a tape of its own
        (
            ["task=binary_mul", "model=tape_pair", "model.controller.hidden=[10]", *APART],
            (3 + 16) * 10 + 10 * 2 * 5 + 10 * 16 + 26 + 30 * 4 * 2 * (2 + 2),
        ),
    ],
)
def test_multiply_adds_as_counted_by_hand(words, counted):
    assert floor.multiply_adds(build(ours.config_of(*words))) == counted


def test_the_floor_is_six_operations_for_each_multiply_add():
    line = timing.line({"row": "a"}, 0.5, 88 * 10**9, 88e9)
    assert line == {"row": "a", "ms": 500.0, "floor_ms": 6000.0, "ratio": 0.5 / 6}


def test_shipped_rows_are_as_long_as_they_say():
    for row, ticks in zip(steps.ROWS, (41, 41, 41, 168), strict=True):
        assert ours.longest(ours.config_of(*row.words), 2).inputs.shape[1] == ticks
        assert row.rivals is None or (2 * row.rivals.length + 1, row.rivals.rows) == (ticks, row.rows)


def test_an_exponent_is_that_of_the_upper_half():
    sizes = [1, 2, 4, 8, 16]
    assert growth.exponent(sizes, [9.0, 9.0, *(3 * n**1.5 for n in sizes[2:])]) == pytest.approx(1.5)
    assert growth.exponent([1, 4, 10], [7.0, 2.0, 5.0]) == pytest.approx(math.log(2.5) / math.log(2.5))
    assert growth.exponent([2, 4], [5.0, 5.0]) == pytest.approx(0)


def test_every_case_has_its_turn(monkeypatch):
    monkeypatch.setattr(timing, "LEAST", 0)
    seen = []
    cases = [Case({"row": name}, 10, lambda name=name: seen.append(name)) for name in "ab"]
    flops, lines = timing.in_turns(cases, 3)
    assert seen == list("aabb" * 3)  # each turn warms up
    assert [line["samples"] for line in lines] == [3, 3]
    assert flops > 0


def test_a_step_is_of_all_ticks_and_rows():
    config = ours.config_of("task=copy", "model.slots=8", "task.lengths=[1,3]")
    step = ours.step_of(config, ours.longest(config, 2))
    assert step.multiply_adds == floor.multiply_adds(build(config)) * 2 * 7
    step.take()


def test_a_race_ends_where_both_lengths_are_right(monkeypatch):
    monkeypatch.setattr(solved, "EVERY", 0)
    wrong, judged = {20: [3, 0], 100: [1, 0]}, []

    def judge(index, length):
        judged.append((index, length))
        return wrong[length].pop(0)

    race = solved.Race("one", math.inf, 5, judge)
    race.go()
    assert [race.updated(7) for _ in range(3)] == [False, False, True]
    assert judged == [(1, 20), (2, 20), (2, 100), (3, 100)]
    lines = race.lines(30.0)
    assert [(line["copy_of"], line["updates"], line["wrong"]) for line in lines] == [(20, 2, "no bit"), (100, 3, "no bit")]
    assert [line["floor_s"] for line in lines] == [14.0, 21.0]
    assert lines[0]["s"] < lines[1]["s"]


def test_a_race_that_takes_too_long_says_so():
    race = solved.Race("one", 0, 5, lambda index, length: 1)
    race.go()
    assert race.updated(7)
    assert [(line["s"], line["wrong"][:11]) for line in race.lines(1.0)] == [(None, "not within ")] * 2


def test_pytorch_ntm_is_run_from_a_copy(checkout):
    before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
    found = rivals.load(checkout)
    assert {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()} == before
    own = found.training()
    assert (own.rows, own.net.__class__) == (2, found.machine)
    bias = own.net.linear.bias.clone()
    rivals.update(own.net, own.optimizer, torch.ones(3, 2, 9), torch.ones(2, 2, 8), own.criterion, clip=10)
    assert not torch.equal(own.net.linear.bias, bias)
    (checkout / "ntm/width.py").write_text("WIDTH = 7\n")
    with pytest.raises(AssertionError):  # read anew, all of it
        rivals.load(checkout).training()


def test_what_pytorch_ntm_sees_is_its_own_copy():
    vectors = rivals.vectors_of(Sizes(100, 128, 20, 3, 2))
    inputs = rivals.asked(vectors)
    assert inputs.shape == (4, 2, 9)
    assert torch.equal(inputs[:3, :, :8], vectors)
    assert inputs[:3, :, 8].eq(0).all()
    assert inputs[3].sum(-1).eq(1).all()
    assert inputs[3, :, 8].eq(1).all()


def test_a_checkout_that_cannot_be_imported(checkout):
    (checkout / "ntm/aio.py").write_text("import no_such_module_at_all\n")
    with pytest.raises(UserError, match=r"cannot be imported .*no_such_module_at_all.*allowed"):
        rivals.load(checkout)


def test_all_of_it_with_json(run, tiny, checkout, capsys):
    words = ["rows=[growth,steps,solved]", "repeats=1", "seconds=0.2", f"pytorch_ntm={checkout}", "dnc=false"]
    run("bench", *words, "json=bench.json")
    report = json.loads(Path("bench.json").read_text())
    assert report.keys() == {"machine", "gflops", "load", "steps", "solved", "growth", "memory", "exponents"}
    assert report["machine"]["threads"] == 1
    assert report["gflops"].keys() == {"steps", "solved", "growth"}
    assert {line["side"] for line in report["steps"]} - {"fused"} == {"eager", "pytorch-ntm"}
    assert all(line["ratio"] == pytest.approx(line["ms"] / line["floor_ms"]) for line in report["steps"] + report["growth"])
    assert report["steps"][0]["times_ours"] == 1
    assert [(line["side"], line["copy_of"]) for line in report["solved"]] == [
        (side, length) for side in ("this project", "pytorch-ntm") for length in (20, 100)
    ]
    assert [(line["grows"], line["at"]) for line in report["growth"]] == [("T", 2), ("T", 4), ("T", 8), ("H", 2), ("H", 4)]
    floors = {line["grows"]: line["floor_exponent"] for line in report["exponents"]}
    assert floors["T"] == pytest.approx(1)
    assert report["exponents"][-1]["exponent"] == pytest.approx(2)
    shown = capsys.readouterr().out
    assert "1 thread(s)" in shown
    assert "GFlop/s" in shown
    assert "not within" in shown


def test_steps_are_what_is_measured_by_default_and_what_is_missing_is_named(run, tiny, monkeypatch, capsys):
    monkeypatch.setattr(rivals, "dnc_step", lambda sizes: None)
    run("bench", "repeats=1")
    shown = capsys.readouterr().out
    assert "left out: dnc: the package is not installed" in shown
    assert "growth" not in shown
    assert list(Path().iterdir()) == []


def test_memory_is_that_of_a_process_of_its_own():
    assert growth.taken_by(100) > 1_000_000


def test_the_rows_that_may_be_asked_for_are_the_kinds():
    (literal, _) = typing.get_args(typing.get_args(bench.Rows)[0])
    assert typing.get_args(literal) == tuple(bench.KINDS)


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("rows=[]", ["rows=[]", "at least 1"]),
        ("rows=steps", ["rows=steps", "a list"]),
        ("rows=[speed]", ["rows.0=speed", "steps", "growth"]),
        ("threads=0", ["threads=0", "greater than or equal to 1"]),
        ("repeats=some", ["repeats=some", "integer"]),
        ("seconds=0", ["seconds=0", "greater than 0"]),
        ("seed=-1", ["seed=-1", "greater than or equal to 0"]),
        ("dnc=maybe", ["dnc=maybe", "true or false"]),
        ("pytorch_ntm=no/such", ["pytorch_ntm=no/such", "ntm/aio.py", "allowed: a checkout"]),
        ("json=no/such/folder.json", ["json=no/such/folder.json", "cannot be written"]),
        ("bogus=1", ["bogus=1", "no such key", "rows"]),
    ],
)
def test_a_mistake_gets_one_line(refused, word, named):
    line = refused("bench", word)
    assert all(part in line for part in named), line
