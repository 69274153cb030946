"""Tables and words: both notations, every mistake in one line, and the reference against what is known."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.turing import Row, every_word, execute, parts, random_word, read_table, read_word, shipped

KNOWN = json.loads(Path(__file__).with_name("turing_machines.json").read_text())
"""What is known of the busy beavers, with the notation it is known in."""

INCREMENT = """
blank: _
start: right
halt: [done]
table:
  right: {0: [0, R, right], 1: [1, R, right], _: [_, L, carry]}
  carry: {0: [1, S, done], 1: [0, L, carry], _: [1, S, done]}
"""


def final(table, text="", max_steps=100_000):
    """Steps and the last configuration of the reference."""
    steps, end = 0, None
    for _, after in execute(table, read_word(text, table.symbols, table.tapes), max_steps):
        steps, end = steps + 1, after
    return steps, end


def tape(table, end, number=0):
    cells = [cell for cell, symbol in end.tapes[number].items() if symbol != table.blank]
    return "".join(end.tapes[number].get(cell, table.blank) for cell in range(min(cells), max(cells) + 1)) if cells else ""


def test_the_standard_text_and_the_same_table_as_yaml_are_the_same_rows():
    text, mapping = read_table("1RB1LB_1LA1RZ"), read_table("bb2")
    assert text.rows == mapping.rows
    assert text.rows["A", ("1",)] == Row(("1",), (-1,), "B")
    assert text.rows["B", ("1",)] == Row(("1",), (1,), "Z")
    assert text.rows["Z", ("0",)] is None
    assert (text.start, text.blank, text.halt, text.symbols) == ("A", "0", ("Z",), ("0", "1"))


@pytest.mark.parametrize(
    ("name", "steps", "nonblanks"),
    [("bb2", 6, 4), ("bb3", 21, 5), ("bb4", 107, 13), ("bb2x3", 38, 9)],
)
def test_busy_beavers_halt_as_known(name, steps, nonblanks):
    table = read_table(name)
    done, end = final(table)
    assert (done, sum(symbol != "0" for symbol in end.tapes[0].values())) == (steps, nonblanks)


def test_final_tapes_and_heads_are_the_test_vectors():
    for vector in KNOWN["machines"][:3]:
        table = read_table(vector["tm"])
        steps, end = final(table)
        assert (steps, end.heads[0], tape(table, end)) == (vector["steps"], vector["final_head"], vector["final_tape"])


def test_a_missing_rule_halts_on_the_spot_and_is_no_step():
    table = read_table("1RB---_1LA1RB")
    steps, end = final(table)
    assert (steps, end.state, end.heads) == (2, "A", (0,))
    assert table.notes == []


def test_a_file_reads_as_text_whatever_yaml_makes_of_it(tmp_path):
    path = tmp_path / "increment.yaml"
    path.write_text(INCREMENT)
    table = read_table(str(path))
    assert table.name == "increment"
    assert table.symbols == ("_", "0", "1")
    for number in range(40):
        assert int(tape(table, final(table, f"{number:b}")[1]), 2) == number + 1


def test_dots_match_anything_and_keep_what_is_there():
    table = read_table({"blank": "_", "table": {"a": {"x .": ["y .", "R S", "a"], ". .": ["_ x", "S L", "halt"]}}})
    assert table.rows["a", ("x", "_")] == Row(("y", "_"), (1, 0), "a")
    assert table.rows["a", ("y", "y")] == Row(("_", "x"), (0, -1), "halt")
    assert len(table.rows) == 2 * 3**2


@pytest.mark.parametrize(
    ("text", "named", "allowed"),
    [
        ("1RB1LB_1LA", "1LA", "(6)"),
        ("1RB1LB_1LA1R", "1LA1R", "(6)"),
        ("1RB1L", "1RB1L", "multiple of 3"),
        ("1RB1LC_1LA1RZ", "C is an unknown state", "A, B, Z"),
        ("1RB2LB_1LA1RZ", "2 is an unknown symbol", "0, 1"),
        ("1XB1LB_1LA1RZ", "X is not a move", "L, R, S"),
        ("nonsense", "no such table", "bb2"),
        ("missing.yaml", "cannot be read", "YAML"),
    ],
)
def test_a_bad_text_gets_one_line(text, named, allowed):
    with pytest.raises(ValueError, match=re.escape(named)) as error:
        read_table(text)
    message = str(error.value)
    assert "\n" not in message
    assert allowed in message


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("0: [1, S, done], 1: [0, L, carry]", "1: [0, L, carry]", "no row for 0"),
        ("[1, S, done]", "[1, S, gone]", "gone is an unknown state"),
        ("[1, S, done]", "[1, U, done]", "U is not a move"),
        ("[1, S, done]", "[1, S]", "is not a row"),
        ("[1, S, done]", "[1 1, S, done]", "writes 2 symbols"),
        ("start: right", "start: left", "left is an unknown state"),
        ("halt: [done]", "halt: [done, right]", "right has rows"),
        ("blank: _", "symbols: [0, 1]\nblank: _", "_ is not among the symbols"),
        ("blank: _", "blank: _\nstates: [right]", "table.carry"),
        ("blank: _", "blank: _\ntapes: two", "two is not a number"),
        ("blank: _", "colour: red", "no such key"),
        ("  right: {0: [0, R, right]", "  right: {0: [0, R, right], 0: [0, R, right]", "twice"),
        ("table:", "input: '[01'\ntable:", "is not a pattern"),
        ("table:", "input: '[01x]+'\ntable:", "x is an unknown symbol"),
        (INCREMENT, "table: 3", "must be given"),
        (INCREMENT, "[1, 2]", "holds no mapping"),
        (INCREMENT, "a: [", "is not YAML"),
    ],
)
def test_a_bad_file_gets_one_line(tmp_path, old, new, named):
    assert old in INCREMENT
    path = tmp_path / "bad.yaml"
    path.write_text(INCREMENT.replace(old, new, 1))
    with pytest.raises(ValueError, match=re.escape(named)) as error:
        read_table(str(path))
    assert "\n" not in str(error.value)


def test_a_machine_that_cannot_halt_and_states_without_use_are_noted():
    assert read_table("1RB1LB_1LA1RA").notes == ["no halting state can be reached: this machine never halts"]
    assert read_table("1RA1RZ_1LA1RB").notes == ["states that cannot be reached: B"]


@given(st.integers(0, 2**12), st.integers(0, 2**12), st.integers(1, 3), st.integers(0, 3))
def test_shipped_arithmetic_is_that_of_integers(a, b, pad_a, pad_b):
    a_text, b_text = f"{a:b}".zfill(pad_a), f"{b:b}".zfill(pad_b + 1)
    for name, text, number, result in (
        ("binary_increment", a_text, 0, a + 1),
        ("binary_add", f"{a_text},{b_text}", 2, a + b),
        ("binary_mul", f"{a_text}*{b_text}", 0, a * b),
    ):
        table = read_table(name)
        _, end = final(table, text)
        assert end.state == "done"
        assert int(tape(table, end, number), 2) == result


@given(st.text("ab", min_size=1, max_size=12))
def test_palindromes(word):
    _, end = final(read_table("palindrome"), word)
    assert end.state == ("yes" if word == word[::-1] else "no")


@given(st.integers(1, 70))
def test_strokes_are_counted_in_binary(count):
    table = read_table("unary_to_binary")
    assert tape(table, final(table, "1" * count)[1], 1) == f"{count:b}"


def test_words_are_read_with_and_without_spaces_and_tape_by_tape():
    symbols = ("_", "b", "b<", "1")
    assert read_word("b<b1", symbols, 1) == (("b<", "b", "1"),)
    assert read_word("b< 1", symbols, 1) == (("b<", "1"),)
    assert read_word("1,b", symbols, 3) == (("1",), ("b",), ())
    with pytest.raises(ValueError, match="'x' is an unknown symbol; allowed: _ b b< 1"):
        read_word("1x", symbols, 1)
    with pytest.raises(ValueError, match="at most 2"):
        read_word("1,1,1", symbols, 2)


def test_every_word_is_there_once_the_shortest_first():
    words = list(every_word(parts("[01]+*[a]+", 1), 2))
    assert words[:2] == [(("0", "*", "a"),), (("1", "*", "a"),)]
    assert len(words) == len(set(words)) == (2 + 4) * 2
    assert [len(word[0]) for word in words] == sorted(len(word[0]) for word in words)


def test_random_words_fit_their_pattern():
    for n in range(50):
        (word,) = random_word(np.random.default_rng(n), parts("[01]+*[01]+", 1), 4)
        assert len(word) == 9
        assert word[4] == "*"
        assert set(word[:4] + word[5:]) <= {"0", "1"}


def test_every_shipped_table_has_a_line_about_it_and_no_note():
    assert len(shipped()) == 12
    for name in shipped():
        assert read_table(name).about
        assert read_table(name).notes == []
