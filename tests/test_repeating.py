"""Repeat copy whose copies are clocked: its task, and the proof that a machine repeats all vectors, as often as it is asked."""

import pytest
import torch
from by_hand import YES, Row, by_chance, by_hand, certified, damaged, ended, save, ticks_of_runs
from conftest import composed
from hypothesis import given, settings
from hypothesis import strategies as st

from ntm import lockstep
from ntm.config import parse
from ntm.errors import UserError
from ntm.proofs.repeating import Repeater, prove_repeating
from ntm.proofs.ticks import StrayError, Ticks, UnprovedError
from ntm.proving import check
from tasks import RepeatCopy

WIDTH = 2
TASK = RepeatCopy(width=WIDTH, protocol="clocked")

NOT_PROVED = r"a wrong answer may come|what is due depends on more than the machine sees"


def repeater(copies=0):
    """A slot's last bits mark it, or number the copies: of four, the last one says ones of which the first is lost."""
    marks = 1 + 2 * bool(copies)
    fresh = {"own2": 0, "delimiter": 0}
    rows = [
        *(Row({f"bit{n}": 1, "own2": 0}, {f"value{n}": YES}) for n in range(WIDTH)),
        *(Row({f"own{n}": 1}, {f"said{n}": YES}) for n in range(WIDTH)),
        Row({"own2": 0}, {"said2": YES}),
        Row(fresh, {"value2": YES, **{f"erase{n}": YES for n in range(WIDTH + marks)}}),
    ]
    for number in range(4 if copies else 0):
        after = min(number + 1, 3)
        counts = {f"value{n}": YES * (after >> n - 3 & 1) for n in (3, 4)} | {f"erase{n}": YES for n in (3, 4)}
        at = {"own2": 1, **{f"own{n}": number >> n - 3 & 1 for n in (3, 4)}}
        rows += [Row(at, counts), Row({**at, "own0": 1}, {"said0": -2 * YES * (number == 3)})]
    return rows


def words(rows, *more):
    """Of a command line for such a machine."""
    width = 5 if len(rows) > 6 else 3
    shape = [f"task.width={WIDTH}", f"model.slot_width={width}", f"model.controller.hidden=[{len(rows)}]"]
    return ["task=repeat_copy", "model=tape", *shape, *more]


def machine(rows=None, *more):
    """Such a machine; the delimiter and the flag before another copy send its head home."""
    rows = repeater() if rows is None else rows
    home = torch.tensor([20.0, 0, 0, 20, -20])
    inputs = [*(f"bit{n}" for n in range(WIDTH)), "delimiter", "again"]
    return by_hand(words(rows, *more), rows, inputs, {0: home, 1: home})


def bits(rows):
    """Lines of digits as numbers."""
    return [[int(bit) for bit in row] for row in rows.split()]


def test_flags_say_that_another_copy_follows():
    batch = RepeatCopy(width=2, protocol="clocked", repeats=(3, 3)).batch(0, "test", 0, 8, (2, 2))
    for inputs, targets, mask in zip(batch.inputs, batch.targets, batch.mask):
        vectors = inputs[:2, :2]
        assert inputs[2:].tolist() == bits("0010 0000 0001 0000 0001 0000 0000 0000")[: len(inputs) - 2]
        assert torch.equal(targets[3:9, :2], vectors.repeat(3, 1))
        assert targets[:, 2].tolist() == [0] * 9 + [1]
        assert mask.tolist() == [0] * 3 + [1] * 7
    said = TASK.show(inputs, targets)
    assert said.startswith("3 x (")
    assert said.endswith(" ok")


@pytest.mark.parametrize(("length", "repeats"), [(1, 1), (1, 4), (5, 1), (3, 2)])
def test_there_is_a_flag_for_every_copy_but_the_first(length, repeats):
    task = RepeatCopy(width=2, protocol="clocked", repeats=(repeats, repeats))
    batch = task.batch(0, "test", 0, 2, (length, length))
    flags = batch.inputs[0, :, 3].nonzero()[:, 0].tolist()
    assert flags == [length + copy * length for copy in range(1, repeats)]
    assert task.show(batch.inputs[0], batch.targets[0]).startswith(f"{repeats} x (")


def test_zeros_are_not_rare_where_vectors_have_densities_of_their_own():
    counted = RepeatCopy().batch(0, "train", 0, 64)
    assert torch.equal(RepeatCopy(mixed_density=0.0).batch(0, "train", 0, 64).inputs, counted.inputs)
    mixed = RepeatCopy(mixed_density=1.0).batch(0, "train", 0, 64)
    shares = []
    for batch in (counted, mixed):
        given_ = torch.cat([inputs[: int(inputs[:, 8].argmax()), :8] for inputs in batch.inputs])
        shares.append(float((given_.sum(1) == 0).float().mean()))
    assert shares[0] < 0.02
    assert 0.05 < shares[1] < 0.2  # a mean of (1 - p)^8 is 1/9
    tested = [RepeatCopy(mixed_density=share).batch(0, "test", 0, 4, (3, 3)).inputs for share in (0.0, 1.0)]
    assert torch.equal(*tested)


def test_a_repeater_is_proved():
    proof = prove_repeating(Ticks(machine()), WIDTH)
    assert (proof.registers, proof.contents) == (1, 1 + (1 << WIDTH))
    assert proof.margins.smallest == pytest.approx(YES / 2, abs=1e-5)
    assert lockstep.wrong_of(machine().discrete(), TASK) is None


def test_one_that_goes_wrong_at_the_fourth_copy_is_not():
    model = machine(repeater(4))
    three = RepeatCopy(width=WIDTH, protocol="clocked", repeats=(1, 3))
    assert lockstep.wrong_of(model.discrete(), three) is None
    assert lockstep.wrong_of(model.discrete(), TASK).endswith("wrong")
    with pytest.raises(UnprovedError, match=NOT_PROVED):
        prove_repeating(Ticks(model), WIDTH)


def test_one_that_forgets_to_mark_a_vector_is_not():
    """Two zeros are taken for the end."""
    rows = [row for row in repeater() if "value2" not in row.adds]
    rows += [Row({f"bit{n}": 1, "own2": 0, "delimiter": 0}, {"value2": 2 * YES}) for n in range(WIDTH)]
    rows.append(Row({"own2": 0, "delimiter": 0}, {f"erase{n}": YES for n in range(3)}))
    model = machine(rows)
    assert " 00" in lockstep.wrong_of(model.discrete(), TASK).replace("(", " ")
    with pytest.raises(UnprovedError, match=NOT_PROVED):
        prove_repeating(Ticks(model), WIDTH)


def test_one_that_sees_its_neighbours_is_not():
    model = machine(repeater(), "model.heads.window=[-1,0]")
    with pytest.raises(UnprovedError, match=r"model.heads.window=\[-1, 0\]: other than \[0\]"):
        prove_repeating(Ticks(model), WIDTH)
    with pytest.raises(UnprovedError, match=r"task.width=9: above 8"):
        prove_repeating(Ticks(machine()), 9)


@pytest.mark.parametrize("flag", [0, 1])
def test_a_head_that_strays_is_not(flag):
    model = machine()
    with torch.no_grad():
        model.cell.access.addressing.weight[:, flag] = 0
    with pytest.raises(StrayError, match="a head goes from slot"):
        prove_repeating(Ticks(model), WIDTH)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_every_tick_of_a_real_run_is_in_the_fixed_point(seed):
    """Random machines, whose answers are nearly all wrong: what is gathered is more than what a run comes to."""
    torch.manual_seed(seed)
    model = machine([Row({}, {})] * 6, "model.controller.register=1")
    by_chance(model.cell.access.writing, model.cell.controller.feedback, model.output, model.cell.controller.layers[0])
    ticks = Ticks(model)
    search = Repeater(ticks, WIDTH)
    search.listen()
    search.answer()
    for tick in ticks_of_runs(ticks, model, TASK, seed, count=8, longest=12):
        assert tick in search.steps.made


def test_nothing_that_is_damaged_and_wrong_is_proved():
    """Each weight that counts with its sign flipped: what a run shows to be wrong has no proof."""
    model, wrong = machine(), 0
    for _ in damaged(model):
        if lockstep.wrong_of(model.discrete(), TASK, lengths=range(1, 5)) is not None:
            wrong += 1
            with pytest.raises(UnprovedError):
                prove_repeating(Ticks(model), WIDTH)
    assert wrong > 20


def test_the_command_certifies(run, tmp_path, capsys):
    save(tmp_path / "repeats", words(repeater()), machine())
    certified(run, tmp_path, "repeats")
    said = capsys.readouterr().out
    assert "all n and all vectors: n of them from 1 on, of 2 bits each, in any number of copies" in said
    assert "CERTIFIED: for all of these the network says the vectors as often as it is asked to" in said


def test_what_a_recipe_learns_is_certified(run, capsys):
    """The whole way, as a user goes it, with fewer bits, which takes seconds."""
    run("train", "task=repeat_copy", "model=tape", "task.width=3", "seed=1", "run_dir=run")
    assert ended(run, "run=run") == 0
    assert "verdict       CERTIFIED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["task.protocol=counted"], "model.heads.address_from=control: flags alone move its head, and none begins a copy"),
        (["model.heads.window=[0,1]"], r"model.heads.window=\[0, 1\]: other than \[0\]"),
        (["task.width=9"], "task.width=9: above 8"),
    ],
)
def test_a_proof_is_asked_for_only_where_there_may_be_one(more, told):
    with pytest.raises(UserError, match=f"curriculum.proof=true: there can be none with {told}"):
        check(parse(composed("task=repeat_copy", "model=tape", *more)))


@pytest.mark.parametrize(
    ("most", "code", "told"), [(1, 3, "undecided     model.heads.address_from=control: flags alone"), (2, 1, "differs       2 x (")]
)
def test_one_that_heeds_flags_cannot_count(run, tmp_path, capsys, most, code, told):
    """Of one copy no flag says anything, and nothing is proved; where copies are counted, a second one is missing."""
    counted = [f"task.repeats=[1,{most}]", f"task.normal_repeats=[1,{most}]", "task.protocol=counted"]
    save(tmp_path / "counts", words(repeater(), *counted, "curriculum.proof=false"), machine())
    assert ended(run, "run=counts") == code
    assert told in capsys.readouterr().out
