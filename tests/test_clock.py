"""The clock of a multiplier: its task, what it gives to a multiplier, and the proof that it does so for ever."""

import io
from pathlib import Path

import pytest
import torch
from by_hand import YES, Row, by_chance, by_hand, certified, damaged, ended, save
from conftest import composed
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from ntm import lockstep
from ntm.config import parse
from ntm.errors import UserError
from ntm.multiply import ClockError, multiplied, ticking
from ntm.proofs.clocking import Clocking, prove_clocking
from ntm.proofs.ticks import FAR, SEES, StrayError, Tick, Ticks, UnprovedError
from ntm.proving import check
from tasks import BinaryMul, Clock

SHIPPED = Path(__file__).parents[1] / "checkpoints" / "pretrained"

INPUTS = ["a", "b", "delimiter", "load", "start"]
LOADS = {"load": 1, "delimiter": 0}
SWEEPS = {"load": 0, "delimiter": 0, "start": 0}


def clock(sweeps=0):
    """A mark behind the operands ends a sweep. Where `sweeps` are counted there, by two bits, the fourth is not begun."""
    rows = [
        Row({**LOADS, "a": 1}, {"said0": 2 * YES}),
        Row(LOADS, {"said1": YES, "other_erase0": YES}),
        Row({**LOADS, "b": 1}, {"other_value0": YES}),
        Row({"delimiter": 1}, {"value0": YES, "erase0": YES, "said0": YES, "said2": YES}),
        Row({"start": 1, "other_right0": 1}, {"said0": 2 * YES}),
        Row({**SWEEPS, "own0": 0, "other_own0": 1}, {"said0": 2 * YES}),
        Row({**SWEEPS, "own0": 1, "other_right0": 1}, {"said0": 2 * YES}),
        Row({**SWEEPS, "own0": 1}, {"said2": YES}),
    ]
    for number in range(4 if sweeps else 0):
        after = min(number + 1, 3)
        adds = {f"value{n}": YES * (after >> n - 1 & 1) for n in (1, 2)} | {f"erase{n}": YES for n in (1, 2)}
        at = {**SWEEPS, "own0": 1, **{f"own{n}": number >> n - 1 & 1 for n in (1, 2)}}
        rows.append(Row(at, {**adds, "said2": -2 * YES * (number == 3)}))
    return rows


def words(rows, *more):
    """Of a command line for it."""
    width = 3 if len(rows) > 8 else 1
    return ["task=clock", f"model.slot_width={width}", f"model.controller.hidden=[{len(rows)}]", *more]


def machine(rows=None, *more):
    """Such a machine. The first head goes on, and home behind a start flag; the other one waits."""
    rows = clock() if rows is None else rows
    on, back = [0.0, 0, 0, -20, 20], [20.0, 0, 0, 20, -20]
    flags = {0: [20.0, 0, 0, 0, 0, 20, 0, 40, 0, 0], 1: [0.0] * 5 + on, 2: back + on}
    model = by_hand(words(rows, *more), rows, INPUTS, {flag: torch.tensor(moves) for flag, moves in flags.items()})
    with torch.no_grad():
        model.cell.access.addressing.bias[5:] = torch.tensor([-10.0, 0, -10, 10, -10])
        model.output.bias[0] = -1.5 * YES
        reads = model.output.weight[:, model.cell.controller.width :]
        reads[0, reads.shape[1] - model.cell.access.slot_width] = YES  # what the other head comes to see beside it
    return model


def bits(rows):
    """Lines of digits as numbers."""
    return [[int(bit) for bit in row] for row in rows.replace("|", " ").split()]


def test_it_is_asked_for_what_a_clocked_multiplier_is_given():
    batch = Clock().posed([(3, 1), (2, 3)], 2)
    fed = "11010 10010| 00110 00001 00000 00000| 00000 00001 00000 00000| 00000 00001 00000 00000| 00000 00001 00000 00000"
    due = "110   110  | 101   100   100   100  | 001   000   000   000  | 001   000   000   000  | 001   000   000   000  "
    assert batch.inputs[0].tolist() == bits(fed)
    assert batch.targets[0].tolist() == bits(due)
    assert torch.equal(batch.targets, BinaryMul().posed([(3, 1), (2, 3)], 2, "test").inputs)
    assert batch.mask.all()


def test_what_is_given_once_is_given_once():
    batch = BinaryMul(protocol="once").posed([(3, 1)], 2, "train")
    assert batch.inputs[0].tolist() == bits("110 100| 001" + " 000" * 15)
    clocked = BinaryMul().posed([(3, 1)], 2, "train")
    assert torch.equal(batch.targets, clocked.targets)
    assert torch.equal(batch.mask, clocked.mask)
    assert BinaryMul(protocol="once").show(batch.inputs[0], batch.targets[0]) == "11 x 01 = 0011 ok"


def test_one_by_hand_is_right_and_is_proved():
    model = machine()
    assert lockstep.wrong_of(model.discrete(), Clock(), lengths=range(1, 9)) is None
    proof = prove_clocking(Ticks(model))
    assert (proof.registers, proof.contents) == (1, 4)
    assert proof.margins.smallest == pytest.approx(YES / 2, abs=1e-5)


@pytest.mark.parametrize(("a", "b", "length"), [(0, 1, 1), (13, 11, 4), (2**20 - 1, 2**19 + 5, 20)])
def test_fed_with_its_own_flags_it_says_the_same(monkeypatch, a, b, length):
    """Tick by tick, each with the flags that it has said, beside what is passed on to a multiplier."""
    monkeypatch.setattr("ntm.multiply.PIECE", 50)
    model, task = machine().discrete(), Clock()
    passed = torch.cat(list(ticking(model, task, a, b, length)), 1)[0]
    once = BinaryMul(protocol="once").posed([(a, b)], length, "test").inputs[0]
    said, state = torch.tensor([0.0, 1, 0]), None
    for x, expected in zip(once, passed, strict=True):
        inputs = torch.cat([x, said[1:]])[None, None]
        output = model(inputs, room=model.room_for(task.room(length)) if state is None else None, state=state)
        said, state = task.answer(output.logits)[0, 0], output.state
        assert torch.equal(said, expected)


class Right(torch.nn.Module):
    """A multiplier that says whether it is given what is due, in the place of a product."""

    def __init__(self, task, a, b, length):
        super().__init__()
        self.due, self.at = task.posed([(a, b)], length, "test").inputs, 0

    def room_for(self, need):
        return need

    def forward(self, inputs, ticks, *, room, state):
        due = self.due[:, self.at : self.at + inputs.shape[1]]
        self.at += inputs.shape[1]
        return type("Output", (), {"logits": inputs.eq(due).all(-1, keepdim=True).float() - 0.5, "state": self})


@pytest.mark.parametrize("sweeps", [None, 7])
def test_a_multiplier_is_given_what_the_clock_says(sweeps):
    a, b, length, task = 2**20 - 1, 2**19 + 5, 20, BinaryMul(sweeps=sweeps)
    right, console = Right(task, a, b, length), Console(file=io.StringIO())
    assert multiplied(right, task, a, b, length, console, machine().discrete()) == 2 ** task.swept(length) - 1


def test_one_that_goes_wrong_late_is_told_and_not_proved():
    model = machine(clock(4))
    with pytest.raises(UnprovedError, match="a wrong answer may come"):
        prove_clocking(Ticks(model))
    assert lockstep.wrong_of(model.discrete(), Clock()).endswith("wrong")
    with pytest.raises(ClockError, match=r"on tick 33: it says 1 0 0, and 1 0 1 is due \(data, load, start\)"):
        list(ticking(model.discrete(), Clock(), 7, 31, 5))


def test_heads_that_go_elsewhere_are_not():
    model = machine()
    with torch.no_grad():
        model.cell.access.addressing.weight[:, 2] = 0  # the start flag does nothing
    with pytest.raises(StrayError, match="after delimiter, load and start"):
        prove_clocking(Ticks(model))


def test_heads_that_are_moved_by_more_than_flags_are_not(capsys):
    with pytest.raises(UserError, match=r"there can be none with model.heads.address_from=hidden"):
        check(parse(composed("task=clock", "model.heads.address_from=hidden")))
    with pytest.raises(UserError, match=r"allowed: false, or two tape heads on tapes of their own"):
        check(parse(composed("task=clock", "model.heads.separate=false")))
    with pytest.raises(UserError, match=r"there can be none with task.protocol=once, where no flag begins a sweep"):
        check(parse(composed("task=binary_mul", "task.protocol=once")))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_every_tick_of_a_real_run_is_in_the_fixed_point(seed):
    """Random machines, whose answers are nearly all wrong: what is gathered is more than what a run comes to."""
    torch.manual_seed(seed)
    window = ["[0,1]", "[-1,0,1]", "[-1,0]", "[0]"][seed % 4]
    model = by_random(window, step=seed % 3 - 1)
    ticks = Ticks(model)
    search = Clocking(ticks)
    search.load()
    search.go_on()
    blank, slots = ticks.blank[:1], model.room_for(Clock().room(6))
    blind = [offset not in (0, *ticks.window) for offset in SEES]
    for length in (1, 2, 3, 6):
        batch = Clock().batch(seed, "test", 0, 2, (length, length))
        for inputs in batch.inputs:
            tapes, at = [[blank] * slots for _ in range(2)], [0, 0]  # each from its home on
            for x in inputs:
                rows = [[tape[(here + offset) % slots] for offset in SEES] for tape, here in zip(tapes, at)]
                seen = [ticks.blank if hidden else first + second for hidden, first, second in zip(blind, *rows)]
                tick = Tick(tuple(map(int, x.tolist())), FAR, ticks.register, *seen)
                assert tick in search.steps.made
                did = ticks[tick]
                for head, (home, step) in enumerate(did.moves):
                    tapes[head][at[head]] = did.content[head : head + 1]
                    at[head] = ((0 if home else at[head]) + step) % slots


def by_random(window, step):
    """A machine whose heads go as a clock's should, and that writes and says anything."""
    rows = [Row({}, {})] * 8
    model = machine(rows, f"model.heads.window={window}")
    access = model.cell.access
    with torch.no_grad():
        access.addressing.weight[2:5, 2] = torch.tensor([30.0 * (step == way) - 20 * (way == 1) for way in (-1, 0, 1)])
    by_chance(access.writing, model.output, model.cell.controller.layers[0])
    return model


def test_nothing_that_is_damaged_and_wrong_is_proved():
    """Each weight that counts with its sign flipped: what a run shows to be wrong has no proof."""
    model, wrong = machine(), 0
    for _ in damaged(model):
        if lockstep.wrong_of(model.discrete(), Clock(), lengths=range(1, 5)) is not None:
            wrong += 1
            with pytest.raises(UnprovedError):
                prove_clocking(Ticks(model))
    assert wrong > 40


def test_the_commands_take_it(run, tmp_path, capsys):
    save(tmp_path / "clock", words(clock()), machine())
    certified(run, tmp_path, "clock")
    assert "CERTIFIED: for all n, a and b the network, fed with its own flags" in capsys.readouterr().out
    run("multiply", f"run={SHIPPED}/binary_mul.ckpt", "clock=clock", "a=123456789", "b=987654321")
    product, verdict = capsys.readouterr().out.splitlines()
    assert product == "123456789 x 987654321 = 121932631112635269"
    assert verdict.startswith("right; 30 bits, 1,950 ticks, ")


def test_the_command_tells_where_it_is_wrong(run, tmp_path, capsys):
    save(tmp_path / "wrong", words(clock(4)), machine(clock(4)))
    with pytest.raises(SystemExit) as left:
        run("multiply", f"run={SHIPPED}/binary_mul.ckpt", "clock=wrong", "a=7", "b=31")
    assert left.value.code == 1
    assert capsys.readouterr().out == "the clock is wrong on tick 33: it says 1 0 0, and 1 0 1 is due (data, load, start)\n"
    assert ended(run, "run=wrong") == 1


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (f"clock={SHIPPED}/copy.ckpt", "a run of another task; allowed: runs of task=clock"),
        ("clock=nowhere", "clock=nowhere"),
        ("run=clock", "run=clock: a run of another task; allowed: runs of task=binary_mul"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, capsys, key, told):
    save(tmp_path / "clock", words(clock()), machine())
    with pytest.raises(SystemExit) as left:
        run("multiply", f"run={SHIPPED}/binary_mul.ckpt", "a=3", "b=5", "clock=clock", key)
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
