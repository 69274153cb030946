"""Machines of tape heads whose weights are set by hand, for tests: a hidden unit for each row of a table, 1 where it applies.

And what their proofs are tried with: weights by chance, weights that are damaged, the ticks of real runs.
"""

import json
from typing import NamedTuple

import torch
from conftest import composed

from ntm import files, runs
from ntm.config import build, parse
from ntm.proofs.lockstep import near
from ntm.proofs.ticks import SEES, Tick

YES = 20.0
"""What a unit adds to a logit that is -10 without it."""


class Row(NamedTuple):
    """What is added to which logits, where these bits of the input are so."""

    when: dict[str, int]
    adds: dict[str, float]


def by_hand(words, rows, inputs, flags):
    """The machine of a command line with these rows, rounded; its heads go one slot on, and `flags` add to where they go.

    What is said is named `said`, or `said0`, `said1` where it is of more than one bit; what a second head sees and writes begins
    with `other_`.
    """
    model = build(parse(composed(*words))).eval()
    machine = model.cell
    see, heads = machine.controller.layers[0], machine.access
    width, register = heads.slot_width, machine.controller.register
    names = ["", "other_"][: heads.heads]
    sides = [("left", "own", "right")[offset + 1] for offset in heads.window]
    seen = [f"{name}{side}{n}" for name in names for side in sides for n in range(width)]
    held = [f"register{n}" for n in range(register)]
    sees = {name: n for n, name in enumerate([*inputs, *seen, *held])}
    written = [f"{name}{what}{n}" for name in names for what in ("value", "erase") for n in range(width)]
    places = {name: (heads.writing, n) for n, name in enumerate(written)}
    places |= {name: (machine.controller.feedback, n) for n, name in enumerate(held)}
    places |= {"said": (model.output, 0)} | {f"said{n}": (model.output, n) for n in range(model.output.out_features)}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for layer in {layer for layer, _ in places.values()}:
            layer.bias.fill_(-YES / 2)
        for unit, row in enumerate(rows):
            for name, bit in row.when.items():
                see.weight[unit, sees[name]] = 2 * bit - 1
            see.bias[unit] = 1 - sum(row.when.values())
            for name, adds in row.adds.items():
                layer, at = places[name]
                layer.weight[at, unit] = adds
        heads.addressing.bias.copy_(torch.tensor([-10.0, 0, -10, -10, 10] * heads.heads))
        for flag, moves in flags.items():
            heads.addressing.weight[:, flag] = moves
    model.round(1)
    return model


def by_chance(*layers):
    """Give these layers random weights, of the present seed."""
    with torch.no_grad():
        for layer in layers:
            layer.weight.normal_(0, 3)
            layer.bias.normal_(0, 3)


def damaged(model):
    """Each weight that counts in its turn: while the caller goes on, its sign is flipped."""
    for parameter in model.parameters():
        for at in parameter.nonzero():
            with torch.no_grad():
                parameter[tuple(at)] *= -1
            yield
            with torch.no_grad():
                parameter[tuple(at)] *= -1


def ticks_of_run(ticks, inputs, slots):
    """The ticks of a real run of one head on a ring of so many slots, from inputs [T I]."""
    blind = [offset not in (0, *ticks.window) for offset in SEES]
    tape, register, at = [ticks.blank] * slots, ticks.register, 0
    for x in inputs:
        away = at if at <= slots // 2 else at - slots
        seen = [ticks.blank if hidden else tape[(at + offset) % slots] for offset, hidden in zip(SEES, blind)]
        tick = Tick(tuple(x.tolist()), near(away), register, *seen)
        yield tick
        did = ticks[tick]
        tape[at], register, at = did.content, did.register, did.slot(at) % slots


def ticks_of_runs(ticks, model, task, seed, count, longest):
    """The ticks of so many real runs, of lengths up to the longest, one run after the other."""
    slots = model.room_for(task.room(longest))
    batch = task.batch(seed, "test", 0, count, (1, longest))
    for inputs, last in zip(batch.inputs, batch.ticks):
        yield from ticks_of_run(ticks, inputs[:last], slots)


def save(folder, words, model, rounded=True):
    """Write a machine as a run."""
    folder.mkdir()
    saved = {"config": composed(*words), "updates": 0, "progress": {"rounding": rounded}}
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    files.save(folder / runs.LAST, {"ntm": saved, "state_dict": weights})


def ended(run, *words):
    """The exit code of ntm.certify."""
    try:
        run("certify", *words)
    except SystemExit as left:
        return left.code
    return 0


def certified(run, folder, name):
    """Assert that ntm.certify certifies a run, and writes so as JSON, too."""
    assert ended(run, f"run={name}", "json=certificate.json") == 0
    assert json.loads((folder / "certificate.json").read_text())["certified"]
