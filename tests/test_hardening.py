"""Ends that a fixed point names, practised until the machine is proved; and how far ticks and ends are from another answer."""

import os
import signal
from collections import Counter as Votes

import numpy as np
import pytest
import torch
from by_hand import YES, Row
from conftest import composed
from test_counting import TASK, WIDTH, counter, machine, prove, wrong

from ntm import ends, proving
from ntm.config import parse
from ntm.errors import UserError
from ntm.proofs import hardening, merging
from ntm.proofs.counting import search
from ntm.proofs.floats import hidden_of, moved, of_any_answers, written
from ntm.proofs.hardening import groups, harden, holds, margins_of, table
from ntm.proofs.merging import apart, chosen, merged
from ntm.proofs.ticks import StrayError, Ticks, UnprovedError
from ntm.training.curriculum import Progress, finished
from ntm.training.module import LitModel


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
    monkeypatch.setattr(proving, "RATES", (0.05,) * 4)
    monkeypatch.setattr(hardening, "UPDATES", 200)
    monkeypatch.setattr(hardening, "LOOK", 20)
    monkeypatch.setattr(hardening, "MOST", 1.0)


def test_wrong_answers_are_unlearned_and_the_machine_is_proved(faster):
    model, told = forgetful(), []
    assert wrong(model) is not None
    with pytest.raises(UnprovedError):
        prove(model)
    with torch.inference_mode():  # as in a validation
        assert proving.hardening(TASK, told.append)(model)
    assert any(line.startswith("hardening: not proved yet: a sign is not certain") for line in told)
    assert any(line.startswith("hardening, update 0: ") and " answers wrong" in line for line in told)
    assert wrong(model) is None
    assert prove(model).margins.smallest > hardening.MARGIN / 3


def of_two_minds():
    """A machine that leaves in one more bit of a slot what bit 0 of the slot before it is, and never heeds it."""
    extra = WIDTH + 4
    return machine(rows=counter(more=[Row({"left0": 1}, {f"value{extra}": YES}), Row({}, {f"erase{extra}": YES})], bits=1), bits=1)


def test_of_contents_that_make_no_difference_the_commonest_is_learned(faster):
    model, told = of_two_minds(), []
    asked = WIDTH, TASK.counts()
    before = prove(model)
    ticks = Ticks(model)
    choice = chosen(ticks, *asked)
    steps, otherwise = merged(ticks, *asked, choice)
    assert len(steps.made) < before.ticks
    assert otherwise == sum(did != ticks[tick] for tick, did in steps.made.items()) > 0
    assert proving.hardening(TASK, told.append)(model)
    assert f"hardening: of {len(steps.made):,} ticks that may come {otherwise:,} are done otherwise than most" in told
    after = prove(model)
    assert after.contents < before.contents
    assert after.ticks <= len(steps.made)
    assert merged(Ticks(model), *asked, choice)[1] == 0
    assert wrong(model) is None


def test_what_is_chosen_tells_vectors_and_counts_apart():
    """A vector may be one content at all places; what stands behind the count may be that of anything."""
    votes = {
        (1,): Votes({b"a": 3, b"b": 2}),
        (2,): Votes({b"a": 5, b"c": 1}),
        (): Votes({b"a": 9}),
        (0, (0, 1)): Votes({b"d": 4}),
        (1, (0, 1)): Votes({b"d": 4}),
        (0, (1, 1)): Votes({b"c": 2, b"e": 1}),
        (3,): Votes({b"d": 1}),
    }
    settled = {(1,): b"b", (2,): b"a", (): b"a", (0, (0, 1)): b"d", (1, (0, 1)): b"d", (0, (1, 1)): b"c", (3,): b"d"}
    assert apart({where: votes[where] for where in reversed(votes)}) == apart(votes) == settled


def test_two_numbers_of_copies_that_are_not_told_apart_are_told(faster, monkeypatch):
    """A tick on what stands for both would have to leave two contents: it was taken for learned as soon as it left one of them."""
    told, asked = [], (WIDTH, TASK.counts())
    model = of_two_minds()
    choice = chosen(Ticks(model), *asked)
    assert not merged(Ticks(model), *asked, choice)[0].torn
    choice.contents[3,] = choice.contents[2,]
    assert merged(Ticks(model), *asked, choice)[0].torn
    monkeypatch.setattr(proving, "chosen", lambda *asked: choice)
    assert not proving.hardening(TASK, told.append)(model)
    assert told[-1] == "hardening: two vectors, or numbers of copies, are not told apart by what most ticks leave"


def test_a_head_that_strays_seldom_is_led_back(faster):
    model = machine()
    with torch.no_grad():
        model.cell.access.addressing.weight[:, -3] *= 0.4  # home, behind every copy: not far enough
    with pytest.raises(StrayError):
        prove(model)
    assert proving.hardening(TASK, lambda told: None)(model)
    assert prove(model)
    assert wrong(model) is None


@pytest.mark.parametrize("before", [True, False])
def test_it_takes_minutes_and_is_ended_at_once(before):
    def tell(told):
        assert not before
        os.kill(os.getpid(), signal.SIGTERM)

    with ends.watch:
        ends.watch.held = True
        if before:
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(ends.Ended) as ended:
            proving.hardening(TASK, tell)(of_two_minds())
        assert (ended.value.safe, ended.value.code, ends.watch.held) == (True, 143, True)
        ends.watch.held, ends.watch.asked = False, None


def test_where_most_ticks_differ_nothing_is_learned(monkeypatch):
    monkeypatch.setattr(merging, "MOST", 0.0)
    told = []
    assert not proving.hardening(TASK, told.append)(of_two_minds())
    assert told[-1].endswith("ticks differ from what most do")


@pytest.mark.parametrize("hard", [True, False])
def test_a_run_is_hardened_before_a_validation_once_noise_is_in_full(hard):
    asked = []

    def hardens(model):
        asked.append(True)
        with torch.no_grad():
            model.output.bias.fill_(7.0)
        return hard

    lit = LitModel(parse(composed("experiment=repeat_copy_proved")), hardens=hardens)
    begun = lit.model.output.bias.clone()
    at_last = Progress(updates=100, stage=lit.config.curriculum.all_stages - 1, noise=2.0)
    for early in (at_last._replace(noise=0.99), at_last._replace(stage=0), at_last._replace(rounding=1.0)):
        lit.progress = lit.kept.progress = early
        lit.on_validation_start()
        assert not asked
    lit.progress = lit.kept.progress = at_last
    assert not finished(lit.config.curriculum, at_last)
    lit.on_validation_start()
    assert (asked, lit.progress) == ([True], at_last._replace(rounding=float(hard)))
    assert torch.equal(lit.model.output.bias, torch.full_like(begun, 7.0) if hard else begun)
    assert lit.model.rounded == hard
    lit.kept.restore()
    assert lit.progress == lit.kept.progress
    assert torch.equal(lit.model.output.bias, torch.full_like(begun, 7.0) if hard else begun)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["task=copy", "model=tape"], "curriculum.hardening=true: only task=repeat_copy task.protocol=counted has that"),
        (["task=repeat_copy", "model=tape"], "curriculum.hardening=true: only task=repeat_copy task.protocol=counted has that"),
        (["task=repeat_copy", "model=tape_pair"], "curriculum.hardening=true: a model of another kind"),
        (["task=repeat_copy", "model=lstm"], "curriculum.hardening=1: this model hands on what is no bits"),
        (["task=repeat_copy", "task.width=9"], "curriculum.hardening=true: there can be none with task.width=9: above 8"),
    ],
)
def test_what_cannot_be_hardened_is_refused(words, told):
    with pytest.raises(UserError) as refused:
        proving.check(parse(composed(*words, "curriculum.hardening=true")))
    assert str(refused.value).startswith(told)


def test_it_is_the_same_again(faster):
    first, second = forgetful(), forgetful()
    for model in (first, second):
        assert harden(model, fixed_point(model), 0.05, lambda told: None)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters()))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), forgetful().parameters()))


def test_where_too_many_answers_are_wrong_nothing_is_learned(monkeypatch):
    monkeypatch.setattr(hardening, "MOST", 0)
    model = forgetful()
    assert not harden(model, fixed_point(model), 0.05, lambda told: None)
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
    for proved, group in zip(of_any_answers(steps.ticks, steps.ended), groups(steps), strict=True):
        assert margins_of(steps.ticks.decisions, made, group).min().item() == pytest.approx(proved.smallest, abs=1e-4)


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
