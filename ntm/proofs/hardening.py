"""Ticks and answers of a fixed point, practised: for a machine that is right wherever one looks, and not proved yet.

Every tick is trained to do what the fixed point takes it to do, which mostly it does, and what is said at its end, by what may be
read at worst, to the answer that the task is due. What is far from flipping is left alone.

Letters: D ticks, E ends of ticks, I all that a tick depends on, C contents, M slot width, O outputs.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import relu

from ntm.models.machine.discrete import Decisions
from ntm.models.recurrent import Recurrent
from ntm.proofs.floats import AT_ONCE, bits, by_contents, given_to
from ntm.proofs.lockstep import Lockstep
from ntm.proofs.ticks import SEES

MARGIN = 0.3
"""Logits that are further from flipping are left alone."""

UPDATES = 3000
"""Of Adam, at most; its rate falls to none."""

LOOK = 200
"""Updates from one look at all ticks and ends to the next: what is near to flipping is practised most."""

TICKS, NEAR, GROUPS, ENDS = 4096, 1024, 4, 1024
"""Drawn for an update: of all ticks, of those that are near, of groups of ends near and of all, and ends of each."""

MOST = 0.1
"""Of all answers may be wrong; with more, it is another machine that is needed."""


class Made(NamedTuple):
    """Ticks, with what they do."""

    given: Tensor  # [D I]
    old: Tensor  # [D M], 1 or -1 as all bits here
    left: Tensor  # [D M]
    home: Tensor  # [D]
    step: Tensor  # [D], index of the move
    register: Tensor  # [D R]

    def rows(self, index: Any) -> "Made":
        """Some of them."""
        return Made(*(part[index] for part in self))


class Ends(NamedTuple):
    """Ends at which the same contents may be read."""

    rows: Tensor  # [E], of the ticks
    due: Tensor  # [E O], 1 or -1
    slots: list[Tensor]  # of each that the head reads: contents [C M], as bits


def harden(model: Recurrent, steps: Lockstep, rate: float, tell: Callable[[str], None]) -> bool:
    """Train a rounded model of one tape head, so that no end of its fixed point is wrong or near to it; False: too many were.

    A pure function of its weights and the rate that it begins at.
    """
    decisions = steps.ticks.decisions  # of the model's own layers, or of copies on the CPU
    with torch.inference_mode(False), torch.enable_grad():  # a validation, which asks for proofs, forbids to learn
        enough = practise(decisions, table(steps), list(groups(steps)), rate, tell)
    model.cell.load_state_dict(decisions.machine.state_dict())
    model.output.load_state_dict(decisions.output.state_dict())
    return enough


def practise(decisions: Decisions, made: Made, ends: list[Ends], rate: float, tell: Callable[[str], None]) -> bool:
    """As `harden`, of the layers that decide."""
    random = np.random.default_rng(0)
    parameters = [*decisions.machine.parameters(), *decisions.output.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=rate, amsgrad=True)  # as gradients get small, so do steps
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, UPDATES)
    sizes = np.array([len(group.rows) for group in ends])
    for update in range(UPDATES):
        if update % LOOK == 0:
            with torch.no_grad():
                lowest = [margins_of(decisions, made, group).amin(1) for group in ends]
            wrong = sum(int((margin < 0).sum()) for margin in lowest)
            far = nearest(decisions, made)
            others = int((far < 0).sum())
            told = f"{wrong:,} of {sizes.sum():,} answers wrong, {others:,} of {len(far):,} ticks otherwise than most"
            tell(f"hardening, update {update}: {told}")
            if wrong > MOST * sizes.sum():
                return False
            near = (far < MARGIN).nonzero()[:, 0].numpy()
            if not wrong and far.min() > MARGIN / 3:
                return True
            bad = [n for n, margin in enumerate(lowest) if margin.min() < MARGIN]
        drawn = random.integers(len(made.given), size=TICKS)
        if len(near):
            drawn = np.concatenate([drawn, random.choice(near, NEAR)])
        loss = relu(MARGIN - holds(decisions, made.rows(torch.from_numpy(drawn)))).sum(1).mean()
        chosen = [*random.choice(len(ends), GROUPS, p=sizes / sizes.sum()), *(random.choice(bad, GROUPS) if bad else [])]
        for number in chosen:
            few = torch.from_numpy(random.permutation(len(ends[number].rows))[:ENDS])
            loss = loss + relu(MARGIN - margins_of(decisions, made, ends[number], few)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return True


def table(steps: Lockstep) -> Made:
    """All ticks of a fixed point."""
    asked, dids = list(steps.made), list(steps.made.values())
    access = steps.ticks.decisions.machine.access
    pieces = [given_to(steps.ticks, asked[n : n + AT_ONCE]).astype(np.float32) for n in range(0, len(asked), AT_ONCE)]
    moves = np.array([did.moves[0] for did in dids])
    return Made(
        torch.from_numpy(np.concatenate(pieces)),
        signs([tick.own for tick in asked]),
        signs([did.content for did in dids]),
        torch.from_numpy(2.0 * moves[:, 0] - 1).float(),
        torch.from_numpy(moves[:, 1] + access.shift_width // 2),
        signs([did.register for did in dids]),
    )


def groups(steps: Lockstep) -> Iterator[Ends]:
    """All ends of a fixed point."""
    number = {tick: n for n, tick in enumerate(steps.made)}
    for contents, same in by_contents(steps.ended).items():
        held = [contents[SEES.index(offset)] for offset in steps.ticks.window]
        slots = [torch.from_numpy(bits(sorted(codes))).float() for codes in held]
        rows = torch.tensor([number[ending.tick] for ending in same])
        yield Ends(rows, signs([steps.ended[ending] for ending in same]), slots)


def signs(codes: list[bytes]) -> Tensor:
    """Codes as rows of 1 and -1."""
    return torch.from_numpy(2 * bits(codes) - 1).float()


def holds(decisions: Decisions, made: Made) -> Tensor:
    """How far ticks are from doing anything else, in logits [D ...]."""
    machine, access = decisions.machine, decisions.machine.access
    hidden = machine.controller.layers(made.given)
    value, gate = access.writing(hidden).split(access.slot_width, 1)
    # The old bit stays by its gate, or by a value that is the same; another one needs both.
    kept = torch.maximum(made.old * value, -gate)
    written = torch.where(made.old == made.left, kept, torch.minimum(gate, made.left * value))
    logits = access.addressing(hidden)
    shifts = logits[:, 2:]
    others = shifts.scatter(1, made.step[:, None], -torch.inf).amax(1)
    moved = shifts.gather(1, made.step[:, None])[:, 0] - others
    found = [written, (made.home * logits[:, 0])[:, None], moved[:, None]]
    if machine.controller.feedback is not None:
        found.append(made.register * machine.controller.feedback(hidden))
    return torch.cat(found, 1)


def margins_of(decisions: Decisions, made: Made, ends: Ends, few: Tensor | slice = slice(None)) -> Tensor:
    """How far what is said at ends is from being wrong, whatever is read, in logits [E O]."""
    due, controller, output = ends.due[few], decisions.machine.controller, decisions.output
    weight, width = output.weight, controller.width
    found = due * (controller.layers(made.given[ends.rows[few]]) @ weight[:, :width].T + output.bias)
    for contents, part in zip(ends.slots, weight[:, width:].split(decisions.machine.access.slot_width, 1), strict=True):
        adds = contents @ part.T
        found = found + torch.where(due > 0, adds.amin(0), -adds.amax(0))
    return found


@torch.no_grad()
def nearest(decisions: Decisions, made: Made) -> Tensor:
    """How far each tick is from doing anything else, [D]."""
    count = len(made.given)
    return torch.cat([holds(decisions, made.rows(slice(n, n + AT_ONCE))).amin(1) for n in range(0, count, AT_ONCE)])
