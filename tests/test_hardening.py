"""Ends that a fixed point names, practised until the machine is proved; and how far ticks and ends are from another answer."""

import numpy as np
import pytest
import torch
from test_counting import TASK, WIDTH, YES, machine, prove, wrong

from ntm import proving
from ntm.proofs import hardening
from ntm.proofs.counting import search
from ntm.proofs.floats import hidden_of, moved, of_any_answers, written
from ntm.proofs.hardening import groups, harden, holds, margins_of, table
from ntm.proofs.ticks import Ticks, UnprovedError


def fixed_point(model):
    return search(Ticks(model), WIDTH, TASK.counts())


def forgetful(by=0.2):
    """A machine whose answers are wrong by so much wherever bit 0 is due."""
    model = machine()
    with torch.no_grad():
        model.output.bias[0] -= YES / 2 + by
    return model


@pytest.fixture
def faster(monkeypatch):
    """Weights by hand are far from where they go wrong, and a few updates are to be enough."""
    monkeypatch.setattr(hardening, "RATE", 0.05)
    monkeypatch.setattr(hardening, "UPDATES", 60)
    monkeypatch.setattr(hardening, "LOOK", 20)
    monkeypatch.setattr(hardening, "MOST", 1.0)


def test_wrong_answers_are_unlearned_and_the_machine_is_proved(faster):
    model, told = forgetful(), []
    assert wrong(model) is not None
    with pytest.raises(UnprovedError):
        prove(model)
    with torch.inference_mode():  # as in a validation
        assert proving.hardening(TASK, told.append)(model)
    assert any(line.startswith("hardening, update 0: ") and " answers wrong" in line for line in told)
    assert wrong(model) is None
    assert prove(model).margins.smallest > hardening.MARGIN / 3


def test_it_is_the_same_again(faster):
    first, second = forgetful(), forgetful()
    for model in (first, second):
        assert harden(model, fixed_point(model), lambda told: None)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), forgetful().parameters()))


def test_where_too_many_answers_are_wrong_nothing_is_learned(monkeypatch):
    monkeypatch.setattr(hardening, "MOST", 0)
    model = forgetful()
    assert not harden(model, fixed_point(model), lambda told: None)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), forgetful().parameters()))
    assert not proving.hardening(TASK, lambda told: None)(model)


def test_a_machine_that_is_proved_is_left_alone():
    model = machine()
    assert proving.hardening(TASK, lambda told: None)(model)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), machine().parameters()))


def test_ends_are_as_far_from_wrong_as_the_proof_finds():
    model = machine()
    torch.manual_seed(0)
    with torch.no_grad():
        model.output.weight += torch.randn_like(model.output.weight) / 2
    steps = fixed_point(model)
    made = table(steps)
    for proved, ends in zip(of_any_answers(steps.ticks, steps.ended), groups(steps), strict=True):
        assert margins_of(steps.ticks.decisions, made, ends).min().item() == pytest.approx(proved.smallest, abs=1e-4)


def test_ticks_are_as_far_from_another_as_the_proof_finds():
    """Of a bit that stays, its gate or its value; of one that changes, both. The proof goes by errors as well as by logits."""
    model = machine()
    torch.manual_seed(0)
    with torch.no_grad():
        for layer in (model.cell.access.writing, model.cell.access.addressing):
            layer.weight += torch.randn_like(layer.weight) / 2
    steps = fixed_point(model)
    asked = list(steps.made)
    found = holds(steps.ticks.decisions, table(steps)).detach().numpy()
    hidden = hidden_of(steps.ticks, asked)
    left = written(steps.ticks, asked, hidden)
    nearest = np.min([np.where(on, signs.margin, np.inf) for signs, on in left.signs], 0)
    width = nearest.shape[1]
    assert (found[:, :width] > nearest - 1e-4).all()
    assert np.isclose(found[:, :width], nearest, atol=1e-4).mean() > 0.9
    gate, moves = moved(steps.ticks, asked, hidden)
    assert found[:, width] == pytest.approx(gate.margin[:, 0], abs=1e-4)
    assert found[:, width + 1] == pytest.approx(moves.margin, abs=1e-4)
