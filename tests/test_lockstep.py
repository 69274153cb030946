"""Proofs of adders and copiers, and their certificates: what is proved is right, what is wrong is never proved, and is shown."""

import itertools
import json

import pytest
import torch
from by_hand import YES, Row, by_chance, by_hand, damaged, ended, save, ticks_of_runs
from hypothesis import given, settings
from hypothesis import strategies as st

from ntm import lockstep
from ntm.models.machine import discrete
from ntm.models.machine.discrete import on_cpu
from ntm.proofs.addition import RING, Node, additions, after, prove_addition
from ntm.proofs.copying import Copier, prove_copying
from ntm.proofs.lockstep import near
from ntm.proofs.ticks import FAR, Did, Move, StrayError, Ticks, UnprovedError, fits
from tasks import BinaryAdd, Copy

WIDTH = 2

NOT_PROVED = r"a wrong answer may come|what is due depends on more than the machine sees"


def adder(count=0):
    """The register is the carry; with `count`, slots are numbered by so many bits, and at the last number the carry is lost."""
    rows = [Row({"present": 0, "register0": 1}, {"said": YES})]
    for a, b, carry in itertools.product((0, 1), repeat=3):
        total = a + b + carry
        when = {"present": 1, "a": a, "b": b, "register0": carry}
        rows.append(Row(when, {"said": YES * (total % 2), "register0": YES * (total // 2)}))
    for number in range(1 << count if count else 0):
        after = min(number + 1, 3)
        adds = {f"value{n}": YES * (after >> n & 1) for n in range(count)} | {f"erase{n}": YES for n in range(count)}
        rows.append(Row({"present": 1, **{f"left{n}": number >> n & 1 for n in range(count)}}, adds))
    lost = {"register0": -2 * YES}
    return [*rows, *([Row({f"left{n}": 1 for n in range(count)}, lost)] if count else [])]


def adder_words(count=0, slots=RING):
    """Words of a command line for it."""
    shape = [f"model.controller.hidden=[{len(adder(count))}]", "model.controller.register=1", f"model.slot_width={max(1, count)}"]
    return ["task=binary_add", "model=tape", "recipe=binary_add_tape", f"model.slots={slots}", *shape]


def adding(count=0, slots=RING):
    """Such a machine."""
    return by_hand(adder_words(count, slots), adder(count), ["a", "b", "present"], {})


def copier():
    """A vector's bits are those of its slot."""
    rows = [Row({f"bit{n}": 1}, {f"value{n}": YES}) for n in range(WIDTH)]
    rows += [Row({f"own{n}": 1}, {f"said{n}": YES}) for n in range(WIDTH)]
    return [*rows, Row({}, {f"erase{n}": YES for n in range(WIDTH)})]


def copier_words(rows, width=WIDTH):
    """Words of a command line for a machine of so many rows, of vectors and slots of so many bits."""
    shape = [f"task.width={width}", f"model.slot_width={width}", f"model.controller.hidden=[{rows}]"]
    return ["task=copy", "model=tape", "recipe=copy_tape", *shape]


def copying(first=0, rows=None, *words, width=WIDTH):
    """Such a machine; the delimiter sends its head to this slot."""
    rows = copier() if rows is None else rows
    moves = torch.tensor([20.0, 0, 20 * (first == -1), 20 * (first == 0), 20 * (first == 1) - 20])
    inputs = [*(f"bit{n}" for n in range(width)), "delimiter"]
    return by_hand([*copier_words(len(rows), width), *words], rows, inputs, {0: moves})


@pytest.mark.parametrize("slots", [RING, 24])
def test_an_adder_is_proved(slots):
    proof = prove_addition(Ticks(adding(slots=slots)))
    assert (proof.registers, proof.contents) == (2, 1)
    assert proof.margins.smallest == pytest.approx(YES / 2, abs=1e-5)
    assert lockstep.wrong_of(adding(slots=slots).discrete(), BinaryAdd()) is None


def test_one_that_goes_wrong_late_is_not():
    model = adding(2)
    with pytest.raises(UnprovedError, match=NOT_PROVED):
        prove_addition(Ticks(model))
    said = lockstep.wrong_of(model.discrete(), BinaryAdd())
    assert said.endswith("wrong")
    assert len(said.split()[0]) > 3  # until then it is right


def test_an_adder_on_too_small_a_ring_is_not():
    with pytest.raises(UnprovedError, match=f"model.slots={RING - 1}: below {RING}"):
        prove_addition(Ticks(adding(slots=RING - 1)))


def test_a_copier_is_proved():
    model = copying()
    proof = prove_copying(Ticks(model), WIDTH)
    assert (proof.registers, proof.contents) == (1, 1 << WIDTH)
    assert proof.margins.smallest == pytest.approx(YES / 2, abs=1e-5)
    assert lockstep.wrong_of(model.discrete(), Copy(width=WIDTH)) is None


def test_a_copier_that_begins_early_is_proved():
    """Its head is a slot behind, and what it says is in the slot that it comes to."""
    rows = [row for row in copier() if "own0" not in row.when and "own1" not in row.when]
    model = copying(-1, rows)
    with torch.no_grad():
        reads = model.output.weight[:, model.cell.controller.width :]
        reads.copy_(YES * torch.eye(WIDTH))
    assert lockstep.wrong_of(model.discrete(), Copy(width=WIDTH)) is None
    prove_copying(Ticks(model), WIDTH)


@pytest.mark.parametrize("first", [-1, 1])
def test_a_copier_that_begins_elsewhere_is_not(first):
    model = copying(first)
    with pytest.raises(UnprovedError):
        prove_copying(Ticks(model), WIDTH)
    assert lockstep.wrong_of(model.discrete(), Copy(width=WIDTH)).endswith("wrong")


def test_one_that_is_wrong_on_one_pair_of_vectors_is_not():
    """Where 11 comes behind 01, its second bit is lost."""
    rows = [*copier(), Row({"bit0": 1, "bit1": 1, "left0": 0, "left1": 1}, {"value1": -2 * YES})]
    model = copying(0, rows, "model.heads.window=[-1,0]")
    with pytest.raises(UnprovedError, match=NOT_PROVED):
        prove_copying(Ticks(model), WIDTH)
    assert lockstep.wrong_of(model.discrete(), Copy(width=WIDTH)).endswith("wrong")


def test_a_head_that_strays_is_not():
    model = copying()
    with torch.no_grad():
        model.cell.access.addressing.weight.zero_()  # the delimiter does nothing
    with pytest.raises(StrayError, match="the delimiter sends a head to slot 4"):
        prove_copying(Ticks(model), WIDTH)


@given(seed=st.integers(0, 10**6), task=st.sampled_from(["add", "copy"]))
@settings(max_examples=20, deadline=None)
def test_every_tick_of_a_real_run_is_in_the_fixed_point(seed, task):
    """Random machines, whose answers are nearly all wrong: what is gathered is more than what a run comes to."""
    torch.manual_seed(seed)
    if task == "add":
        model, words = adding(1), BinaryAdd()
        free = [model.cell.access.addressing]
    else:
        window = ["[0]", "[-1,0]", "[0,1]"][seed % 3]
        shape = ["model.controller.register=1", f"model.heads.window={window}"]
        model, words = copying(0, [Row({}, {})] * 8, *shape, width=1), Copy(width=1)
        free = []
    by_chance(*free, model.cell.access.writing, model.cell.controller.feedback, model.output, model.cell.controller.layers[0])
    ticks = Ticks(model)
    if task == "add":
        made = additions(ticks).made
    else:
        search = Copier(ticks, 1)
        search.listen()
        search.answer()
        made = search.steps.made
    for tick in ticks_of_runs(ticks, model, words, seed, count=4, longest=20):
        assert tick in made


@pytest.mark.parametrize("machine", [adding, copying])
def test_nothing_that_is_damaged_and_wrong_is_proved(machine):
    """Each weight that counts with its sign flipped: what a run shows to be wrong has no proof."""
    model, words = machine(), BinaryAdd() if machine is adding else Copy(width=WIDTH)
    prove = lockstep.KINDS[type(words)].prove
    wrong = 0
    for _ in damaged(model):
        if lockstep.wrong_of(model.discrete(), words, lengths=range(1, 6)) is not None:
            wrong += 1
            with pytest.raises(UnprovedError):
                prove(model, words)
    assert wrong > 20


def test_the_command_certifies(run, tmp_path, capsys):
    save(tmp_path / "adds", adder_words(), adding())
    assert ended(run, "run=adds", "json=certificate.json") == 0
    shown = capsys.readouterr().out
    assert "CERTIFIED: for all n, a and b the bits that the network says are those of a + b" in shown
    given = json.loads((tmp_path / "certificate.json").read_text())
    assert f"weights       sha256 {given['weights_sha256']}" in shown
    assert (given["verdict"], given["certified"], given["wrong"], given["registers"]) == ("certified", True, None, 2)
    save(tmp_path / "copies", copier_words(len(copier())), copying())
    assert ended(run, "run=copies") == 0
    assert "all n and all vectors: n of them from 1 on, of 2 bits each" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["task=binary_add"], ["task=copy", "model=tape", "task.width=3"]])
def test_what_a_recipe_learns_is_certified(words, run, capsys):
    """The whole way, as a user goes it; copy of fewer bits, which takes seconds."""
    run("train", *words, "seed=1", "run_dir=run")
    assert ended(run, "run=run") == 0
    assert "verdict       CERTIFIED" in capsys.readouterr().out


def test_the_command_shows_what_is_wrong(run, tmp_path, capsys):
    save(tmp_path / "wrong", adder_words(2), adding(2))
    assert ended(run, "run=wrong", "json=certificate.json") == 1
    assert "verdict       DIFFERS from the task" in capsys.readouterr().out
    assert json.loads((tmp_path / "certificate.json").read_text())["wrong"].endswith("wrong")


def test_the_command_says_why_nothing_is_decided(run, tmp_path, capsys):
    save(tmp_path / "small", adder_words(0, 7), adding(0, 7))
    assert ended(run, "run=small", "json=certificate.json") == 3
    assert f"undecided     model.slots=7: below {RING}" in capsys.readouterr().out
    assert json.loads((tmp_path / "certificate.json").read_text())["undecided_because"] == [f"model.slots=7: below {RING}"]


@pytest.mark.parametrize("words", [["export=out"], ["invariant=x.json"], ["inputs=any"], ["reference=copy"]])
def test_keys_that_mean_nothing_are_refused(words, run, tmp_path, capsys):
    save(tmp_path / "adds", adder_words(), adding())
    assert ended(run, "run=adds", *words) == 2
    assert f"{words[0]}: means nothing for a run of task binary_add; allowed:" in capsys.readouterr().err


def test_a_run_that_did_not_end_rounded_is_refused(run, tmp_path, capsys):
    save(tmp_path / "soft", adder_words(), adding(), rounded=False)
    assert ended(run, "run=soft") == 2
    assert "run=soft: did not end rounded" in capsys.readouterr().err


def test_decisions_are_made_on_the_cpu(monkeypatch):
    """As if the machine were on another device."""
    model = adding()
    assert on_cpu(model.cell, model.output) == (model.cell, model.output)
    monkeypatch.setattr(discrete, "device_of", lambda model: torch.device("cuda"))
    copied, output = on_cpu(model.cell, model.output)
    assert (copied is model.cell, output is model.output) == (False, False)
    assert all((p == q).all() for p, q in zip(copied.parameters(), model.cell.parameters()))
    assert prove_addition(Ticks(model)).registers == 2


def test_what_a_head_may_see_next():
    left, own, right, new, held = b"l", b"o", b"r", b"n", [b"x", b"y"]
    far = Node(0, FAR, b"", left, own, right)
    step = {move: Did(b"", new, 0, (Move(False, move),)) for move in (-1, 0, 1)}
    assert after(far, step[1], held) == [(slot, new, right, x) for slot in (-2, FAR) for x in held]
    assert after(far, step[0], held) == [(FAR, left, new, right)]
    assert after(far, step[-1], held) == [(slot, x, left, new) for slot in (2, FAR) for x in held]
    home = Did(b"", new, 0, (Move(True, 0),))
    assert after(far, home, held) == [(0, *slots) for slots in itertools.product(held, repeat=3)]
    assert after(far._replace(slot=1), home, held) == [(0, x, left, new) for x in held]
    assert after(far._replace(slot=-2), home, held) == [(0, right, x, y) for x, y in itertools.product(held, repeat=2)]


def test_slots_far_from_home():
    assert [near(slot) for slot in (-4, -3, -2, 0, 2, 3, 9)] == [FAR, FAR, -2, 0, 2, FAR, FAR]
    assert fits(adding())
