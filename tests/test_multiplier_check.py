"""The checker takes nothing on trust: neither windows nor digits, nor signs that float32 may flip, nor a file."""

import json

import numpy as np
import pytest
import torch
from by_hand import YES
from multipliers import adder, counting, model_of, proved

from ntm.errors import UserError
from ntm.proofs import ticks as plain
from ntm.proofs.floats import Bounded, hidden_of, through
from ntm.proofs.multiplier.attempts import certain, proof_of
from ntm.proofs.multiplier.check import check
from ntm.proofs.multiplier.invariant import NONE, Beginning, Letter, as_json, from_json
from ntm.proofs.multiplier.ticks import Ticks
from ntm.proofs.ticks import UnprovedError


@pytest.fixture(scope="module")
def exact():
    """The adder's proof: its model, ticks, and the proof."""
    return proved()


def test_each_window_is_needed(exact):
    _, ticks, proof = exact
    for key, windows in proof.invariant.windows.items():
        for window in windows:
            fewer = {**proof.invariant.windows, key: windows - {window}}
            with pytest.raises(UnprovedError, match="which the invariant does not list"):
                check(ticks, proof.invariant._replace(windows=fewer))


def test_each_digit_is_needed(exact):
    _, ticks, proof = exact
    digits = proof.invariant.digits
    for known, digit in digits.items():
        with pytest.raises(UnprovedError, match="has no digit"):
            check(ticks, proof.invariant._replace(digits={key: value for key, value in digits.items() if key != known}))
        for other in (digit + 1, digit - 1, digit + 2):
            with pytest.raises(UnprovedError, match="identity"):
                check(ticks, proof.invariant._replace(digits={**digits, known: other}))


def test_more_windows_than_needed_prove_nothing_wrong(exact):
    """A word that cannot occur may break the proof; it never makes a wrong machine right."""
    _, ticks, proof = exact
    key, windows = next((key, windows) for key, windows in proof.invariant.windows.items() if isinstance(key, Beginning))
    strange = (Letter(b"\1\1", NONE, 0),) * 3
    more = proof.invariant._replace(windows={**proof.invariant.windows, key: windows | {strange}})
    assert check(ticks, more).ticks == proof.checked.ticks  # nothing leads to it


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"width": 2}, "windows of 2 letters with digits of 1"),
        ({"width": 4}, "a window has 3 letters, not 4"),
        ({"reach": 0}, "digits of 0"),
        ({"reach": 2}, "digits of 2"),
        ({"depth": 10**9}, "depth 1000000000"),
        ({"depth": 0}, "identity|has no digit"),
        ({"lockstep": True}, "does not list"),
        ({"windows": {}}, "does not list"),
    ],
)
def test_an_invariant_that_is_none(exact, change, reason):
    _, ticks, proof = exact
    with pytest.raises(UnprovedError, match=reason):
        check(ticks, proof.invariant._replace(**change))


def test_letters_of_another_machine_are_refused(exact):
    _, _, proof = exact
    with pytest.raises(UnprovedError, match="none of this machine's"):
        check(Ticks(model_of(counting(2))), proof.invariant)


@pytest.mark.parametrize("layer", ["writing", "addressing", "register"])
def test_gates_that_are_too_small_for_float32_are_refused(exact, layer):
    model = model_of(adder())
    machine = model.cell
    of = machine.controller.feedback if layer == "register" else getattr(machine.access, layer)
    with torch.no_grad():
        for parameter in of.parameters():
            parameter *= 1e-7
    with pytest.raises(UnprovedError, match=r"certain in float32|head that should"):
        proof_of(Ticks(model), exact[2].invariant)


def test_a_product_bit_that_rounding_may_flip_is_refused(exact):
    model = model_of(adder())
    model.output.bias.data.fill_(float(np.nextafter(np.float32(-YES), np.float32(0))))
    ticks = Ticks(model)
    checked = check(ticks, exact[2].invariant)  # here it comes out right
    with pytest.raises(UnprovedError, match="a sign is not certain in float32"):
        certain(ticks, checked)


def test_errors_bound_what_float32_does(exact):
    _, _, proof = exact
    torch.manual_seed(0)
    reached = [tick.plain() for tick in sorted(proof.checked.ticks)]
    other = model_of(adder())
    with torch.no_grad():
        for parameter in other.parameters():
            torch.nn.init.normal_(parameter, 0, 3.0)
        noisy = plain.Ticks(other)
        hidden = hidden_of(noisy, reached)
        logits = through(other.cell.access.writing, hidden)
        inputs = torch.tensor(hidden_inputs(reached), dtype=torch.float32)
        made = other.cell.access.writing(other.cell.controller.layers(inputs)).double().numpy()
    off = np.abs(made - logits.value)
    assert off.max() > 0
    assert (off <= logits.error).all()
    assert logits.error.max() < 0.01


def hidden_inputs(reached):
    """Rows of inputs, reads and register."""
    return [[*t.inputs, *t.left, *t.own, *t.right, *t.register] for t in reached]


def test_weights_that_are_no_numbers_are_refused(exact):
    model = model_of(adder())
    model.cell.access.writing.weight.data[0, -1] = float("inf")
    with pytest.raises(UnprovedError, match="no number"):
        certain(Ticks(model), exact[2].checked)
    model = model_of(adder())
    model.cell.controller.layers[0].weight.data[:, 0] *= 1e38
    with pytest.raises(UnprovedError, match=r"may leave float32's range|certain"):
        certain(Ticks(model), exact[2].checked)


def test_a_subnormal_weight_may_be_flushed_with_all_that_it_carries():
    weight, held = 2.0**-127, 1e37
    layer = torch.nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(weight)
        layer.bias.fill_(0)
    logits = through(layer, Bounded(np.array([[held]]), np.zeros((1, 1))))
    assert logits.error[0, 0] >= weight * held  # where it counts as 0


def test_the_invariant_survives_json(exact):
    invariant = exact[2].invariant
    assert from_json("invariant", "x", json.loads(json.dumps(as_json(invariant)))) == invariant


@pytest.mark.parametrize(
    "damage",
    [
        lambda given: None,
        lambda given: [],
        lambda given: {},
        lambda given: {**given, "lockstep": 1},
        lambda given: {**given, "width": 3.0},
        lambda given: {**given, "letters": given["letters"][:-1]},
        lambda given: {**given, "letters": ["x", *given["letters"][1:]]},
        lambda given: {**given, "digits": [[0, [-1], 0]]},
        lambda given: {**given, "digits": [[0, [0], 0.5]]},
        lambda given: {**given, "digits": [[0, [0], True]]},
        lambda given: {**given, "windows": 3},
        lambda given: {**given, "windows": [{"ever": -1, "windows": []}]},
    ],
)
def test_json_that_is_no_invariant(exact, damage):
    with pytest.raises(UserError, match=r"^invariant=x: not an invariant \(.*\); allowed: one that ntm.certify wrote"):
        from_json("invariant", "x", damage(as_json(exact[2].invariant)))


@pytest.mark.parametrize("what", ["content", "register", "product"])
def test_decisions_that_are_not_those_of_the_weights_are_refused(exact, what):
    """As if a sum had come out on the other side in float32."""
    _, _, proof = exact
    ticks = Ticks(model_of(adder()))
    checked = check(ticks, proof.invariant)
    if what == "product":
        asked = next(iter(checked.products))
        ticks.products[asked] = 1 - ticks.products[asked]
    else:
        tick = next(iter(checked.ticks))
        code = getattr(ticks[tick], what)
        ticks[tick] = ticks[tick]._replace(**{what: bytes([1 - code[0], *code[1:]])})
    with pytest.raises(UnprovedError, match="bit is not certain in float32"):
        certain(ticks, checked)
