"""Compiled machines: the dense path, the discrete path and the slow reference end alike, at every step, on any table."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import random_table

from ntm.models.machine import TapeHeads
from ntm.models.machine.access import HeadsState
from ntm.models.turing.compiler import compile_table, shape_of
from ntm.models.turing.decisions import Decisions, NotDiscreteError, code_of, decide
from ntm.models.turing.free import compare, reference
from ntm.models.turing.run import begin_dense, grow, run_dense, run_discrete
from tasks.turing import parts, random_word, read_table, read_word


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 4), st.integers(1, 3), st.integers(0, 150))
def test_any_machine_runs_right_the_first_time(seed, states, symbols, tapes, max_steps):
    table = random_table(seed, states, symbols, tapes)
    machine = compile_table(table)
    pattern = parts(",".join(["[" + "".join(table.symbols) + "]+"] * tapes), tapes)
    word = random_word(np.random.default_rng(seed), pattern, 3)
    expected = reference(table, word, max_steps)
    assert run_discrete(Decisions(machine, table), word, max_steps) == expected
    assert run_dense(machine, table, word, max_steps) == expected


@pytest.mark.parametrize("max_steps", [0, 1, 63, 64, 65, 106, 107, 108, 500])
def test_both_paths_stop_at_the_same_step(max_steps):
    table = read_table("bb4")
    machine = compile_table(table)
    expected = reference(table, ((),), max_steps)
    assert expected.halted == (max_steps >= 107)
    assert run_discrete(Decisions(machine, table), ((),), max_steps) == expected
    assert run_dense(machine, table, ((),), max_steps) == expected


def test_checkpoints_of_the_five_state_beaver():
    table = read_table("bb5")
    decisions = Decisions(compile_table(table), table)
    for steps, state, head, nonblanks in ((10**3, "D", -14, 55), (10**4, "D", -22, 175), (10**5, "C", -236, 394)):
        final = run_discrete(decisions, ((),), steps)
        assert (final.halted, final.steps, final.state, final.heads[0], len(final.tapes[0])) == (
            False,
            steps,
            state,
            head,
            nonblanks,
        )


def test_a_dense_run_leaves_no_trace_of_drift():
    table = read_table("bb5")
    machine = compile_table(table)
    state = begin_dense(machine, table, ((),))
    for _ in range(8):
        state = grow(state, table, 130)
        with torch.inference_mode():
            state = state._replace(state=machine(torch.zeros(1, 128, 0), state=state.state).state)
    memory, weights, _ = state.state.access
    assert set(weights.unique().tolist()) == {0.0, 1.0}  # exactly one-hot after 1,024 soft ticks
    low = float(torch.sigmoid(torch.tensor(-20.0)))
    assert all(min(abs(value - bit) for bit in (0.0, 1.0, low)) < 1e-10 for value in memory.unique().tolist())
    assert memory.shape[1] >= 260


def test_long_multiplication_is_exact():
    table = read_table("binary_mul")
    decisions = Decisions(compile_table(table), table)
    random = np.random.default_rng(0)
    ones = 2**64 - 1
    pairs = [(ones, ones), (ones, 1), (0, ones), (2**63, 2**63), (0xAAAAAAAAAAAAAAAA, 0x5555555555555555)]
    pairs += [tuple(int.from_bytes(random.bytes(8)) for _ in range(2)) for _ in range(5)]
    for a, b in pairs:
        final = run_discrete(decisions, read_word(f"{a:064b}*{b:064b}", table.symbols, 1), 10**6)
        product = "".join(final.tapes[0][cell] for cell in sorted(final.tapes[0]))
        assert (len(product), int(product, 2)) == (128, a * b)


def test_separate_tapes_are_as_many_machines_side_by_side():
    torch.manual_seed(0)
    heads = TapeHeads(8, 3, 3, heads=2, separate=True, window=(0, 1))
    single = TapeHeads(8, 3, 3, heads=1, window=(0, 1))
    hidden, slots, weights = torch.randn(4, 8), torch.rand(4, 5, 6), torch.rand(4, 2, 5).softmax(-1)
    tick = heads(hidden, torch.zeros(4, 0), HeadsState(slots, weights, weights)).state
    for tape in range(2):
        with torch.no_grad():
            for layer in ("addressing", "writing"):
                for part in ("weight", "bias"):
                    of_two = getattr(getattr(heads, layer), part)
                    getattr(getattr(single, layer), part).copy_(of_two.chunk(2)[tape])
        mine = slice(tape, tape + 1)
        of_one = HeadsState(slots.chunk(2, -1)[tape], weights[:, mine], weights[:, mine])
        alone = single(hidden, torch.zeros(4, 0), of_one).state
        assert torch.allclose(tick.memory.chunk(2, -1)[tape], alone.memory)
        assert torch.allclose(tick.weights[:, mine], alone.weights)
        assert torch.allclose(heads.read(tick).chunk(2, -1)[tape], single.read(alone))


def test_what_is_not_discrete_is_said_so():
    table = read_table("bb3")
    machine = compile_table(table)
    start = code_of(table, "A")
    with torch.no_grad():
        shape_of(machine).feedback.bias.zero_()
    with pytest.raises(NotDiscreteError, match="register A, symbols 0: the next register is not near 0 or 1"):
        decide(machine, table, start, ("0",))
    assert compare(Decisions(machine, table), ((),), 100).line.endswith("wrong")


def test_a_head_that_goes_home_is_no_move():
    table = read_table("bb3")
    machine = compile_table(table)
    with torch.no_grad():
        shape_of(machine).heads.addressing.bias[0] = 20
    with pytest.raises(NotDiscreteError, match="goes home"):
        decide(machine, table, code_of(table, "A"), ("0",))
