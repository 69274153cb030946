"""Numbers: what is proved of a tick holds for float32, and no machine is certified that a dense run shows to be wrong."""

import numpy as np
import pytest
import torch
from conftest import signal
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import MOST, compiled, damaged, follow, random_table, wider

from ntm.certify import search
from ntm.models.turing.compiler import compile_table, shape_of
from ntm.models.turing.decisions import Decisions, NotDiscreteError, encode
from ntm.models.turing.free import record
from ntm.models.turing.run import run_dense
from ntm.named import find
from ntm.proofs.boxes import OverflowsError, box, layers_of, rounding
from ntm.proofs.margins import FUNCTION, Errors, Margins, bounds, one_tick, smallest
from ntm.proofs.product import search_any
from ntm.proofs.words import search_words
from tasks.turing import random_word, read_table, read_word, shipped

SMALL = [name for name in shipped() if name != "universal"]


def certificate(named, inputs="auto"):
    return search(Decisions(named.machine, named.task.table), named.task.table, named, inputs)


def verdict(named):
    return certificate(named).verdict


@pytest.mark.parametrize("name", SMALL)
def test_shipped_machines_are_certified_on_any_tape(name):
    named = compiled(name)
    given = certificate(named, "any")
    assert given.verdict == "certified"
    assert len(given.found.reached) == len(named.task.table.rows)
    assert given.proof.margins.register > 19.9
    assert given.proof.kept < 1e-5


def believed(seed, ticks):
    """The verdict on a random machine that was damaged, and whether it holds in a dense run: True where it was not certified."""
    random = np.random.default_rng(seed)
    table = random_table(seed, int(random.integers(1, 5)), int(random.integers(2, 4)), int(random.integers(1, 3)))
    named = compiled(table)
    named = named._replace(machine=damaged(named.machine, table, random))
    given = certificate(named)
    if given.verdict != "certified":
        return given.verdict, True
    word = random_word(random, named.task.pattern, int(random.integers(1, 12)))
    try:
        return given.verdict, follow(named, word, ticks).within(given.proof.errors)
    except NotDiscreteError:
        return given.verdict, False


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_a_certified_machine_never_differs_in_a_dense_run(seed):
    assert believed(seed, 2_000)[1]


def test_an_idle_unit_that_overflows_is_never_certified():
    states = [f"s{n}" for n in range(60)]
    rows = {state: {".": [".", "R", after]} for state, after in zip(states, [*states[1:], states[0]])}
    named = compiled(read_table({"symbols": ["_", "a"], "table": rows}))
    machine = wider(named.machine, named.task.table)
    assert verdict(named._replace(machine=machine)) == "certified"
    see = shape_of(machine).controller.layers[0]
    see.weight.data[-1], see.bias.data[-1] = MOST / 2, -8
    given = certificate(named._replace(machine=machine))
    assert given.found.differences == []  # each tick from exact symbols is right
    with pytest.raises(NotDiscreteError, match="nan"):
        run_dense(machine, named.task.table, ((),), 100)
    assert given.proof.overflows
    assert given.verdict == "undecided"


def test_what_is_read_after_the_tick_counts_with_its_rounding():
    named = compiled("bb3")
    tail = named.machine.output.weight.data[:, shape_of(named.machine).controller.width :]
    for weight, expected in ((15.0, "certified"), (19.99999, "undecided")):
        tail.fill_(weight)
        assert verdict(named) == expected


def test_a_register_too_soft_to_be_read_off_is_not_certified():
    named = compiled("bb4")
    feedback = shape_of(named.machine).feedback
    for margin, expected in ((5.5, "certified"), (4.62, "undecided")):
        feedback.weight.data.copy_(torch.where(feedback.weight > 0, 2 * margin, 0.0))
        feedback.bias.data.fill_(-margin)
        assert certificate(named).verdict == expected


def test_weight_that_adds_up_is_not_certified_for_ever():
    named = compiled("bb3")
    shape_of(named.machine).heads.addressing.bias.data[1] = 0
    given = certificate(named)
    assert given.proof.settled
    assert 1 < given.proof.ticks < 1e6
    assert given.verdict == "undecided"


def test_products_too_small_for_float32_are_counted():
    weight, units = np.full((1, 40), 1.3e-30, np.float32), np.full(40, 1.1e-13, np.float32)
    exact = weight.astype(float) @ units.astype(float)
    size = np.abs(weight).astype(float)
    for flush in (lambda x: x, lambda x: np.where(np.abs(x) < np.finfo(np.float32).tiny, 0, x)):
        off = np.abs(flush(weight * units).sum() - exact)
        assert 0 < off <= rounding(exact, size, units.astype(float))
        assert off > 2 * 42 * 2.0**-24 * exact  # a relative error alone does not hold it


def test_a_sum_that_may_overflow_on_its_way_is_refused():
    weight = np.array([[MOST / 2, -MOST / 2, 1.0]])
    with pytest.raises(OverflowsError):
        rounding(np.abs(weight) @ np.ones(3), np.abs(weight), np.ones(3))


@pytest.mark.parametrize("bit", [0.0, 1.0])
def test_a_write_with_every_function_as_far_off_as_granted_stays_within(bit):
    errors, margins = Errors(1e-6, 1e-6, 1e-9), Margins(20, 8, 9, 20, 40, 20, 21)
    flip, keep = 1 / (1 + np.exp(8)), 1 / (1 + np.exp(9))
    weight, erase = (1 - errors.off_head) * (1 - FUNCTION), 1 - keep - FUNCTION
    value = abs(bit - flip - FUNCTION)
    for old in (1 + errors.slot, -errors.slot):
        held = old - old * (weight * erase) + weight * (erase * value)
        rounded = 10 * 2.0**-24  # five operations on numbers of at most 2
        assert abs(held - bit) + rounded <= one_tick(margins, errors).slot
        assert abs(held - bit) > flip + 2 * FUNCTION or bit != float(old < 0.5)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10**6))
def test_a_box_holds_every_point_in_it(seed):
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    table = read_table("binary_increment")
    machine = compile_table(table)
    for parameter in machine.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    see, spread = encode(table, ("1",)).double().numpy(), np.array([0.05] * 3 + [0.02] * 3)
    seen = np.concatenate([see, [0.0, 1.0, 0.0]])
    middle, radius = box(layers_of(machine), seen, spread)
    corners = seen + spread * random.uniform(-1, 1, (200, 6))
    after = np.eye(3)[random.integers(3, size=200)] + random.uniform(-0.05, 0.05, (200, 3))
    controller, register, heads, output = shape_of(machine)
    hidden = controller.layers(torch.tensor(corners, dtype=torch.float32))
    logits = [layer(hidden) for layer in (register, heads.writing, heads.addressing)]
    logits.append(output(torch.cat([hidden, torch.tensor(after, dtype=torch.float32)], -1)))
    assert (np.abs(torch.cat(logits, -1).detach().numpy() - middle) <= radius).all()
    assert radius.max() < 100


def behaviour(named, words):
    """The ends of soft runs, None where a value was between."""
    ends = []
    for word in words:
        try:
            ends.append(run_dense(named.machine, named.task.table, word, 128))
        except NotDiscreteError:
            ends.append(None)
    return ends


@pytest.mark.parametrize("name", ["binary_increment", "traced"])
def test_a_sign_flip_that_changes_behaviour_is_never_certified(name, traced):
    named = find("run", str(traced)) if name == "traced" else compiled(name)
    words = [read_word(text, named.task.table.symbols, 1) for text in ("1011", "01")]
    right, random = behaviour(named, words), np.random.default_rng(0)
    assert verdict(named) == "certified"
    changed, wanted = 0, 1 if name == "traced" else 40  # what was learned is redundant: few flips change it
    weights = [p for p in named.machine.parameters() if p.any()]
    for _ in range(25 if name == "traced" else 120):
        flat = weights[random.integers(len(weights))].data.view(-1)
        index = int(random.choice(flat.abs().topk(min(10, int(flat.count_nonzero()))).indices.numpy()))
        flat[index] *= -1
        if behaviour(named, words) != right:
            changed += 1
            assert verdict(named) != "certified"
        flat[index] *= -1
        if changed == 40:
            break
    assert changed >= wanted


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_never_certified(value):
    named = compiled("bb3")
    shape_of(named.machine).heads.addressing.bias.data[1] = value
    assert verdict(named) != "certified"


def test_errors_of_a_tick_bound_what_a_soft_run_does(traced):
    named = find("run", str(traced))
    table = named.task.table
    found = search_words(Decisions(named.machine, table), table, named.task.pattern, 2)
    proof = bounds(named.machine, table, found.reached)
    assert proof.forever
    assert all(margin > 2 for margin in proof.margins)
    assert all(new <= old for new, old in zip(one_tick(proof.margins, proof.errors), proof.errors))
    word = read_word("1" * 12, table.symbols, 1)
    _, output = record(named.machine, named.task, word)
    register, memory = (signal(output, picture)[0] for picture in ("register", "memory"))
    assert (register - register.round()).abs().max() <= proof.errors.register
    assert (memory - memory.round()).abs().max() <= proof.errors.slot
    assert follow(named, word, 200).within(proof.errors)


def test_wider_errors_leave_smaller_margins():
    named = compiled("bb3")
    table = named.task.table
    found = search_any(Decisions(named.machine, table), table)
    near, far = (smallest(named.machine, table, found.reached, Errors(e, e, 1e-40)) for e in (1e-6, 1e-2))
    assert far.register < near.register - 0.5
