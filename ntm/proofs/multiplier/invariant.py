"""What a proof of a multiplier consists of, as data: words of slots by their windows, and the digits that windows stand for.

Between two sweeps the tape is a word of letters; the first is the slot that sweeps begin at, and slots are counted from there. A
letter is what a slot holds, and beside it what only the proof knows: the bit of a that belongs to the slot (NONE in others), and,
in a lock-step proof, a bit of the ideal running sum.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple

from ntm.errors import UserError
from ntm.models.machine.lookup import Code

NONE = 2
"""The mark of a slot that has no bit of a."""


class Letter(NamedTuple):
    """A slot between two sweeps."""

    content: Code
    mark: int  # the bit of a, or NONE
    sum: int  # the ideal running sum's bit; 0 where the proof is not in lock-step


BEGIN, END = Letter(b"", 3, 0), Letter(b"", 4, 0)
"""Before the first slot, behind slot n + 2."""

SPECIAL = {BEGIN: "^", END: "$"}


class History(NamedTuple):
    """Words are kept apart by it."""

    ever: int  # whether a bit of b has been 1 before


class Beginning(NamedTuple):
    """Of words at whose end the start tick of a sweep was just made."""

    ever: int
    bit: int  # of b, in the sweep that begins
    register: Code  # after the start tick


Key = History | Beginning
Window = tuple[Letter, ...]


class Invariant(NamedTuple):
    """The running sum of a word is the sum over its slots k of 2^max(0, k - depth) * digits[min(k, depth), their window]."""

    width: int  # letters of a window of a word, BEGIN and END included
    reach: int  # letters of a window that stands for a digit: that of the slot and those before it
    depth: int
    lockstep: bool
    windows: Mapping[Key, frozenset[Window]]
    digits: Mapping[tuple[int, Window], int]


def letters_of(invariant: Invariant) -> list[Letter]:
    """Every letter in it, sorted."""
    found = set(chain.from_iterable(chain.from_iterable(invariant.windows.values())))
    return sorted(found.union(*(window for _, window in invariant.digits)))


def as_text(letter: Letter) -> str:
    """A letter for the JSON: its content's bits, the mark, the sum's bit."""
    return SPECIAL.get(letter) or f"{bits_of(letter.content)} {letter.mark} {letter.sum}"


def bits_of(code: Code) -> str:
    """A content's or a register's bits, the first one first."""
    return "".join(map(str, code))


def as_json(invariant: Invariant) -> dict[str, Any]:
    """An invariant as plain values; letters are numbers in the list of them."""
    letters = letters_of(invariant)
    number = {letter: n for n, letter in enumerate(letters)}

    def numbers(window: Window) -> list[int]:
        return [number[letter] for letter in window]

    return {
        **{name: getattr(invariant, name) for name in ("width", "reach", "depth", "lockstep")},
        "letters": [as_text(letter) for letter in letters],
        "windows": [
            {
                "ever": key.ever,
                **({"bit": key.bit, "register": bits_of(key.register)} if isinstance(key, Beginning) else {}),
                "windows": sorted(map(numbers, windows)),
            }
            for key, windows in sorted(invariant.windows.items())
        ],
        "digits": [[place, numbers(window), digit] for (place, window), digit in sorted(invariant.digits.items())],
    }


def from_json(key: str, value: Any, given: Any) -> Invariant:
    """An invariant from plain values; raises UserError, naming `key` and its `value`, where they are no such thing."""
    try:
        if not isinstance(given, dict):
            raise TypeError("none is in it")
        letters = [letter_of(text) for text in given["letters"]]

        def window(numbers: list[int]) -> Window:
            if any(type(n) is not int or n < 0 for n in numbers):
                raise ValueError("no number of a letter")
            return tuple(letters[n] for n in numbers)

        sizes = {name: natural(given[name]) for name in ("width", "reach", "depth")}
        windows: dict[Key, frozenset[Window]] = {}
        for part in given["windows"]:
            ever = natural(part["ever"])
            known: Key = Beginning(ever, natural(part["bit"]), code_of(part["register"])) if "bit" in part else History(ever)
            windows[known] = windows.get(known, frozenset()) | frozenset(map(window, part["windows"]))
        digits = {(natural(place), window(numbers)): whole(digit) for place, numbers, digit in given["digits"]}
        if type(given["lockstep"]) is not bool:
            raise TypeError("neither true nor false")
        return Invariant(**sizes, lockstep=given["lockstep"], windows=windows, digits=digits)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UserError(f"{key}={value}: not an invariant ({error}); allowed: one that ntm.certify wrote with json=") from None


def letter_of(text: str) -> Letter:
    """The inverse of `as_text`."""
    for letter, name in SPECIAL.items():
        if text == name:
            return letter
    content, mark, digit = text.split(" ")
    return Letter(code_of(content), int(mark), int(digit))


def code_of(text: str) -> Code:
    """The inverse of `bits_of`."""
    if set(text) - {"0", "1"}:
        raise ValueError(f"{text}: no bits")
    return bytes(map(int, text))


def whole(value: Any) -> int:
    """An integer, and no bool; raises TypeError."""
    if type(value) is not int:
        raise TypeError(f"{value}: no integer")
    return value


def natural(value: Any) -> int:
    """An integer from 0 on; raises TypeError."""
    if whole(value) < 0:
        raise TypeError(f"{value}: below 0")
    return value
