"""Multipliers whose weights are set by hand, for tests: a hidden unit for each row of a table, exactly 1 where the row applies."""

import itertools
from functools import cache
from typing import NamedTuple

import torch
from conftest import composed

from ntm import files, runs
from ntm.config import build, parse
from ntm.proofs.multiplier.attempts import prove
from ntm.proofs.multiplier.ticks import Ticks

YES = 20.0
"""What a unit adds to a logit that is -10 without it."""

NONE = {"load": 0, "start": 0}


class Row(NamedTuple):
    """What is added to which logits, where these bits of the input are so."""

    when: dict[str, int]
    adds: dict[str, float]


def adder(early=False):
    """Content 0 is a's bit, content 1 the running sum's, a slot late; the register is the carry. Early: for sweeps from slot -1."""
    rows = [Row({"load": 1, "data": bit}, {"value0": YES * bit, "erase0": YES, "erase1": YES}) for bit in (0, 1)]
    for bits in itertools.product((0, 1), repeat=4):
        data, a, total, carry = bits
        total += data * a + carry
        when = {**NONE, **dict(zip(("data", "right0" if early else "own0", "right1", "register0"), bits))}
        rows.append(Row(when, {"erase1": YES, "value1": YES * (total % 2), "register0": YES * (total // 2)}))
    return [*rows, Row({**NONE, "left1": 1}, {"said": YES})]


def counting(count):
    """An adder whose slots are numbered by so many bits more, and which loses its sum at the last number and behind."""
    names = [f"{n}" for n in range(2, 2 + count)]
    rows = adder()
    for number in range(1 << count):
        after = min(number + 1, (1 << count) - 1)
        when = {"load": 1, **{f"left{name}": number >> n & 1 for n, name in enumerate(names)}}
        adds = {f"value{name}": YES * (after >> n & 1) for n, name in enumerate(names)}
        rows.append(Row(when, adds | {f"erase{name}": YES for name in names}))
    return [*rows, Row({**NONE, **{f"own{name}": 1 for name in names}}, {"value1": -3 * YES})]


def words_of(rows):
    """The words of a command line for a machine of these rows."""
    width = max(int(name[5:]) for row in rows for name in row.adds if name.startswith("value")) + 1
    shape = [f"model.controller.hidden=[{len(rows)}]", f"model.slot_width={width}", "model.controller.register=1"]
    return ["task=binary_mul", "model=tape", "recipe=binary_mul_tape_wide", *shape]


def model_of(rows, early=False):
    """The machine, rounded; its sweeps begin at home, or one slot early."""
    config = parse(composed(*words_of(rows)))
    model = build(config).eval()
    machine = model.cell
    see, heads = machine.controller.layers[0], machine.access
    width = heads.slot_width
    slots = [f"{where}{n}" for where in ("left", "own", "right") for n in range(width)]
    inputs = {name: n for n, name in enumerate(["data", "load", "start", *slots, "register0"])}
    written = {f"{what}{n}": n + at for at, what in ((0, "value"), (width, "erase")) for n in range(width)}
    places = {name: (heads.writing, n) for name, n in written.items()}
    places |= {"register0": (machine.controller.feedback, 0), "said": (model.output, 0)}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for layer in (heads.writing, machine.controller.feedback, model.output):
            layer.bias.fill_(-YES / 2)
        for unit, row in enumerate(rows):
            for name, bit in row.when.items():
                see.weight[unit, inputs[name]] = 2 * bit - 1
            see.bias[unit] = 1 - sum(row.when.values())
            for name, adds in row.adds.items():
                layer, at = places[name]
                layer.weight[at, unit] = adds
        heads.addressing.bias.copy_(torch.tensor([-10.0, 0, -10, -10, 10]))
        heads.addressing.weight[:, 1] = torch.tensor([20.0, 0, 20 * early, 20 * (not early), -20])  # the start flag
    model.round(1)
    return model


def silent(line):
    """Nobody hears what is tried."""


@cache
def proved(early=False):
    """The adder's model, ticks, and proof, made once."""
    model = model_of(adder(early), early)
    ticks = Ticks(model)
    return model, ticks, prove(ticks, silent)


def save(folder, words, model, rounded=True):
    """Write a machine as a run."""
    folder.mkdir()
    saved = {"config": composed(*words), "updates": 0, "progress": {"rounding": rounded}}
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    files.save(folder / runs.LAST, {"ntm": saved, "state_dict": weights})
