"""Input words of a Turing machine: what may be written on its tapes before it starts.

A pattern says what words a table is made for, tape by tape with commas between: a symbol stands for itself, `[01]+` for one
or more symbols of those in brackets. `[01]+*[01]+` is two numbers with a star between them.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

Word = tuple[tuple[str, ...], ...]
"""The symbols written on each tape, the head on the first of them."""


class Part(NamedTuple):
    """One symbol of a pattern, or a run of one or more symbols."""

    symbols: tuple[str, ...]  # of which each is one
    run: bool


def parts(pattern: str, tapes: int) -> list[list[Part]]:
    """The parts of a pattern for each tape; raises ValueError."""
    found = []
    for text in pattern.split(",") if tapes > 1 else [pattern]:
        tokens = re.findall(r"\[([^\]]+)\]\+|(\S)", text)
        if any(single and single in "[]" for _, single in tokens):
            raise ValueError(f"input: {pattern} is not a pattern; allowed: symbols and runs as [01]+, a comma between tapes")
        found.append([Part(tuple(run.split() if " " in run else run) if run else (one,), bool(run)) for run, one in tokens])
    if len(found) > tapes:
        raise ValueError(f"input: {pattern} is for {len(found)} tapes; allowed: {tapes}")
    return found + [[] for _ in range(tapes - len(found))]


def read_word(text: str, symbols: Sequence[str], tapes: int) -> Word:
    """The word that a text means: symbols side by side, or spaces between them, a comma between tapes. Raises ValueError."""
    texts = text.split(",") if tapes > 1 else [text]
    if len(texts) > tapes:
        raise ValueError(f"words for {len(texts)} tapes; allowed: at most {tapes}, a comma between tapes")
    # With spaces every piece is one symbol; without, the longest symbol that fits comes first.
    one = "|".join(re.escape(symbol) for symbol in sorted(symbols, key=len, reverse=True))
    words = []
    for tape in texts:
        pieces = tape.split() if re.search(r"\s", tape.strip()) else re.findall(f"{one}|.", tape.strip())
        wrong = [piece for piece in pieces if piece not in symbols]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is an unknown symbol; allowed: {' '.join(symbols)}")
        words.append(tuple(pieces))
    return (*words, *(() for _ in range(tapes - len(words))))


def random_word(random: np.random.Generator, pattern: list[list[Part]], length: int) -> Word:
    """A word whose runs have `length` symbols each, of mixed density: all alike, sparse and even ones occur."""

    def run(part: Part) -> list[str]:
        shares = random.dirichlet(np.full(len(part.symbols), 0.5))
        return [part.symbols[n] for n in random.choice(len(part.symbols), length, p=shares)]

    return tuple(tuple(itertools.chain(*(run(p) if p.run else p.symbols for p in tape))) for tape in pattern)


def every_word(pattern: list[list[Part]], longest: int) -> Iterator[Word]:
    """Every word whose runs have at most `longest` symbols, the shortest first."""
    flat = [(tape, part) for tape, ps in enumerate(pattern) for part in ps]
    runs = [part for _, part in flat if part.run]
    for lengths in sorted(itertools.product(range(1, longest + 1), repeat=len(runs)), key=sum):
        left = iter(lengths)
        choices = [itertools.product(part.symbols, repeat=next(left) if part.run else 1) for _, part in flat]
        for pieces in itertools.product(*choices):
            word: list[tuple[str, ...]] = [()] * len(pattern)
            for (tape, _), piece in zip(flat, pieces):
                word[tape] += piece
            yield tuple(word)
