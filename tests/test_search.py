"""Searches: what they call a fixed point holds all that runs come to, and what they call a difference is one."""

from itertools import islice
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import Rows, random_table, random_words

from ntm.models.turing.compiler import compile_table, shape_of
from ntm.models.turing.decisions import Decisions, code_of
from ntm.proofs.product import TooManyError, search_any
from ntm.proofs.witness import shortest_word, side_by_side
from ntm.proofs.words import MOST_MARKS, Further, View, beginnings, pushed, search_words
from tasks.turing import every_word, execute, parts, random_word, read_table


def changed(name, state, seen, row):
    """A shipped table with one row another, before the others."""
    table = read_table(name)
    rows = {**table.source["table"], state: {seen: row, **{k: v for k, v in table.source["table"][state].items() if k != seen}}}
    return read_table({**table.source, "table": rows})


def missed(table, pattern, n, words, steps):
    """Combinations that runs on words come to and the search over words does not; None where it was given up."""
    try:
        found = search_words(Rows(table), table, pattern, n)
    except TooManyError:
        return None
    assert found.differences == []
    return [
        (word, step)
        for word in words
        for step, _ in execute(table, word, steps)
        if (code_of(table, step.state), step.seen) not in found.reached
    ]


def holds_all(seed):
    """Whether a search on a random table, pattern, window and choice of landmarks misses nothing; None where it was given up."""
    random = np.random.default_rng(seed)
    tapes = int(random.integers(1, 3))
    table = random_table(seed, int(random.integers(2, 6)), int(random.integers(2, 5 - tapes + 1)), tapes)
    pattern = parts(",".join(random_words(random, table.symbols) for _ in range(tapes)), tapes)
    marks = tuple(symbol for symbol in table.symbols if random.random() < 0.3)
    words = [*islice(every_word(pattern, 5), 60), *(random_word(random, pattern, 1 + n) for n in range(12))]
    with mock.patch("ntm.proofs.words.landmarks", return_value=marks), mock.patch("ntm.proofs.words.MOST_CONTEXTS", 2_000):
        found = missed(table, pattern, int(random.integers(1, 3)), words, 150)
    return None if found is None else found == []


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_whatever_a_run_comes_to_is_in_the_fixed_point(seed):
    assert holds_all(seed) is not False


def test_the_search_over_products_finds_what_runs_come_to_and_no_more():
    table = read_table("binary_mul")
    pattern = parts(table.input, 1)
    words = [random_word(np.random.default_rng(seed), pattern, 1 + seed % 9) for seed in range(40)]
    assert missed(table, pattern, 2, words, 10_000) == []
    assert len(search_words(Rows(table), table, pattern, 1).reached) == 60  # one that never occurs


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_difference_that_only_a_longer_run_shows_is_found(n):
    table, wrong = read_table("unary_to_binary"), changed("unary_to_binary", "carry", "1 1", ["1 1", "S L", "carry"])
    pattern = parts(table.input, 2)
    found = search_words(Rows(wrong), table, pattern, n)
    assert [(d.state, d.seen) for d in found.differences] == [("carry", ("1", "1"))]
    parting = shortest_word(Decisions(compile_table(wrong), wrong), table, pattern)
    assert parting.word == (("1", "1", "1"), ())
    assert parting.difference == found.differences[0]


def counting(last):
    """A machine that takes everything away, and at the fourth x writes `last`."""
    rows = {f"q{n}": {".": ["_", "R", f"q{n}"]} for n in range(4)}
    for n in range(4):
        rows[f"q{n}"] = {"_": ["_", "S", "halt"], "x": ["_", "R", f"q{n + 1}"] if n < 3 else [last, "R", "q3"], **rows[f"q{n}"]}
    return read_table({"symbols": ["_", "k", "x", "y"], "input": "k[xy]+", "table": rows})


@pytest.mark.parametrize("marks", [(), ("k",), ("x", "y"), ("k", "x", "y", "_")])
def test_landmarks_within_a_run_hide_nothing(marks):
    table = counting("_")
    with mock.patch("ntm.proofs.words.landmarks", return_value=marks):
        found = search_words(Rows(counting("x")), table, parts(table.input, 1), 1)
    assert [(d.state, d.seen) for d in found.differences] == [("q3", ("x",))]


@pytest.mark.parametrize("pattern", ["", "0", "[01]+", "0[01]+*[1]+", "*[0]+1[0*]+"])
@pytest.mark.parametrize("marks", [(), ("*", "0")])
def test_a_search_begins_with_what_words_show_and_no_more(pattern, marks):
    (tape,) = parts(pattern, 1)
    blanks = (("_", ()),) * 2
    starts, windows = set(), {blanks}
    for (word,) in every_word([tape], MOST_MARKS + 4):
        sides, cells = [blanks], word or ("_",)
        for symbol in reversed(cells[1:]):
            sides.append(pushed(sides[-1], symbol, marks))
        starts.add(View(blanks, cells[0], sides[-1]))
        windows |= set(sides[:-1])
    left, right = Further(marks), Further(marks)
    assert beginnings(tape, "_", left, right, 2) == starts
    assert set().union(*right.windows.values()) == windows
    assert (left.count, right.count) == (1, len(windows))


def test_a_difference_is_found_and_shown_by_the_shortest_word():
    table, other = read_table("binary_mul"), changed("binary_mul", "add_1", "x", ["x", "L", "add_1"])
    pattern = parts(table.input, 1)
    found = search_words(Rows(other), table, pattern, 1)
    assert ("add_1", ("x",)) in [(d.state, d.seen) for d in found.differences]
    parting = shortest_word(Decisions(compile_table(other), other), table, pattern)
    assert len(parting.word[0]) == 7
    steps = [step for step, _ in execute(table, parting.word, 1_000)]
    assert steps[parting.steps][:2] == ("add_1", ("x",))


def test_both_are_compared_side_by_side_to_the_last_step():
    table = read_table("binary_increment")
    assert side_by_side(Rows(table), table, (("1", "1"),)) == (6, None)
    halts = changed("binary_increment", "carry", "_", None)
    steps, difference = side_by_side(Rows(halts), table, (("1", "1"),))
    assert (steps, difference.machine) == (5, "halts")
    steps, difference = side_by_side(Rows(table), halts, (("1", "1"),))
    assert (steps, difference.table) == (5, "halts")


def test_a_difference_that_no_dense_run_shows_is_none():
    table, other = read_table("binary_increment"), changed("binary_increment", "carry", "1", ["1", "L", "carry"])
    decisions = Decisions(compile_table(other), other)
    assert shortest_word(decisions, table, parts(table.input, 1)).word == (("1",),)
    decisions.machine = compile_table(table)  # the decisions of one machine, the run of another
    with mock.patch("ntm.proofs.witness.MOST_WORK", 10_000):
        assert shortest_word(decisions, table, parts(table.input, 1)) is None


def test_a_machine_that_moves_on_when_it_has_halted_is_no_halt():
    table = read_table("bb2")
    machine = compile_table(table)
    unit = list(table.rows).index(("Z", ("0",)))
    with torch.no_grad():
        shape_of(machine).heads.addressing.weight[2:, unit] = torch.tensor([0.0, 0.0, 40.0])
    found = search_any(Decisions(machine, table), table)
    assert [(d.state, d.seen, d.machine) for d in found.differences] == [("Z", ("0",), "halts, but changes something")]


def test_a_search_that_would_not_end_in_time_is_given_up():
    table = read_table("universal")
    with pytest.raises(TooManyError):
        search_words(Rows(table), table, parts("[01|LRS;]+,[01|LRS;]+,[|]+", 3), 3)
