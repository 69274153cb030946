"""Proofs of multipliers: what is proved is right, and what is wrong is never proved."""

import numpy as np
import pytest
from by_hand import YES, Row
from conftest import composed
from multipliers import adder, counting, model_of, proved, silent

from ntm.config import build, parse
from ntm.proofs.multiplier.attempts import ATTEMPTS, Failed, Proof, proof_of, prove
from ntm.proofs.multiplier.check import check
from ntm.proofs.multiplier.invariant import BEGIN, END, NONE, Letter, bits_of
from ntm.proofs.multiplier.operands import Wrong, drawn, small, wrong_of
from ntm.proofs.multiplier.samples import samples, words
from ntm.proofs.multiplier.search import Search
from ntm.proofs.multiplier.ticks import Ticks
from ntm.proofs.ticks import UnprovedError, fits
from tasks import BinaryMul

TASK = BinaryMul()


@pytest.fixture(scope="module", params=[False, True], ids=["from home", "from the slot before"])
def exact(request):
    """An adder's model, ticks, and proof, and whether its sweeps begin early."""
    return *proved(request.param), request.param


def some_wrong(model, longest):
    """Operands of few bits that are multiplied wrongly, by running them."""
    return small(model.discrete(), TASK, range(1, longest + 1), 1e9)


def test_a_right_machine_is_proved(exact):
    _, _, proof, _ = exact
    assert isinstance(proof, Proof)
    assert proof.attempt == ATTEMPTS[0]
    assert proof.margins.smallest == pytest.approx(YES / 2, abs=1e-5)
    assert {content for content, digit in known_digits(proof.invariant)} == {"00", "01", "10", "11"}
    assert all(digit in (0, int(content[1])) for content, digit in known_digits(proof.invariant))


def known_digits(invariant):
    """Contents and what they stand for from slot 1 on."""
    return [(bits_of(window[-1].content), digit) for (place, window), digit in invariant.digits.items() if place]


@pytest.mark.parametrize("width", [3, 4])
def test_it_is_proved_in_lock_step_too(exact, width):
    _, ticks, _, _ = exact
    proof = proof_of(ticks, Search(ticks, None, width).found())
    assert proof.invariant.lockstep
    assert {letter.sum for windows in proof.invariant.windows.values() for window in windows for letter in window} == {0, 1}


def test_every_decision_of_real_runs_is_in_the_proof(exact):
    model, _, proof, _ = exact
    real = Ticks(model)
    contents = set()
    for n in range(1, 6):
        for a in range(1 << n):
            for word, total in words(real, a, n).items():
                contents.add(word)
                assert total == sum(letter.content[1] << max(0, k - 1) for k, letter in enumerate(word) if k)
    assert set(real) <= proof.checked.ticks
    samples(real)
    assert set(real) == proof.checked.ticks  # and no others: the proof is as sharp as it can be
    listed = frozenset().union(*proof.invariant.windows.values())
    padded = [(BEGIN, BEGIN, *word, END) for word in contents]
    assert {word[at : at + 3] for word in padded for at in range(len(word) - 2)} <= listed


def test_words_are_what_the_tape_holds(exact):
    model, ticks, _, early = exact
    discrete = model.discrete()
    for a, b, n in ((11, 13, 4), (1, 1, 1), (0, 3, 2)):
        batch = TASK.posed([(a, b)], n, "test")
        marks, known = [*[NONE] * early, *(a >> k & 1 for k in range(n)), NONE, NONE, NONE], words(ticks, a, n)
        for sweep in range(2 * n):
            until = n + sweep * (n + 2) + 1
            tape = discrete(batch.inputs[:, :until], room=2 * (n + 8)).state[0].tapes[0]
            assert not any(any(code) for code in tape[n + 3 : -1])
            held = tape[-1:] + tape[: n + 2] if early else tape[: n + 3]
            word = tuple(Letter(content, mark, 0) for content, mark in zip(held, marks))
            assert known[word] == a * (b % (1 << sweep)) >> sweep


def damages(random, count, early):
    """Rows with something done to them, or to the model that they make."""
    for _ in range(count):
        model = model_of(adder(early), early)
        some = [parameter for parameter in model.parameters() if parameter.any()]
        flat = some[random.integers(len(some))].data.view(-1)
        at = random.choice(np.flatnonzero(flat.numpy()))
        flat[int(at)] *= float(random.choice([-1, 0, -3, 0.3]))
        yield model


@pytest.mark.parametrize("seed", range(5))
def test_what_is_damaged_is_never_proved_and_wrong(seed, exact):
    _, _, proof, _ = exact
    random, refused = np.random.default_rng(seed), 0
    for model in damages(random, 6, exact[3]):
        wrong = some_wrong(model, 4) or wrong_of(model.discrete(), TASK, 6, [(a, b) for a in range(64) for b in (21, 45, 63)])
        for _ in range(2):
            try:
                ticks = Ticks(model)
                proof_of(ticks, Search(ticks, None, 3).found() if refused % 2 else proof.invariant)
            except UnprovedError:
                refused += 1
            else:
                assert wrong is None
    assert refused


@pytest.mark.parametrize("number", range(len(adder())))
def test_each_row_of_the_machine_matters(number, exact):
    rows = adder(exact[3])
    del rows[number]
    model = model_of(rows, exact[3])
    wrong, ticks = some_wrong(model, 4), Ticks(model)
    invariant = exact[2].invariant
    if wrong is None:
        check(ticks, invariant)
    else:
        with pytest.raises(UnprovedError):
            check(ticks, invariant)
        with pytest.raises(UnprovedError):
            check(ticks, Search(ticks, None, 3).found())


@pytest.mark.parametrize("count", [2, 3])
def test_a_machine_that_is_wrong_from_some_length_on_is_not_proved(count, monkeypatch):
    monkeypatch.setattr("ntm.proofs.multiplier.attempts.ATTEMPTS", ATTEMPTS[:2])
    model = model_of(counting(count))
    first = (1 << count) - 1
    assert some_wrong(model, min(first - 1, 4)) is None
    assert small(model.discrete(), TASK, [first], 1e9) is not None
    assert isinstance(prove(Ticks(model), silent), Failed)


def test_a_machine_that_is_wrong_from_63_bits_on_is_not_proved():
    model = model_of(counting(6))
    assert drawn(model.discrete(), TASK, 0.3) is None
    ticks = Ticks(model)
    with pytest.raises(UnprovedError, match="product bit"):
        Search(ticks, None, 3).found()
    assert len({tick.own for tick in ticks}) > 63


def test_a_head_that_strays_is_refused():
    model = model_of(adder())
    model.cell.access.addressing.bias.data[0] = 5.0  # home on every tick
    found = prove(Ticks(model), silent)
    assert isinstance(found, Failed)
    assert [reason[:18] for reason in found.reasons] == ["on a tick of kind "]


def test_wrong_operands_are_the_shortest():
    rows = adder()
    rows[-1] = Row({"load": 0, "start": 0, "left1": 1, "own0": 0}, {"said": YES})  # nothing where a's bit 1 is a 1
    wrong = some_wrong(model_of(rows), 4)
    assert wrong == Wrong(2, 2, 1, 0)
    assert wrong_of(model_of(rows).discrete(), TASK, 5, [(1, 1), (9, 31), (19, 1)]) == Wrong(5, 19, 1, 0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["task=copy"], False), (["task=binary_mul", "model.heads.window=[0,2]"], False), (["task=binary_mul"], True)],
)
def test_which_machines_can_be_proved(words, expected):
    model = build(parse(composed(*words)))
    assert not fits(model)
    if model.rounds:
        model.round(1)
    assert fits(model) == expected
