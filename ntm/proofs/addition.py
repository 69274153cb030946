"""The proof of an adder: any slot that its head comes to may hold whatever the machine writes anywhere, or nothing.

So much for the tape is enough where what matters is in the register, or beside the head. Then it is no matter how long the operands
are, and how often the head has been round the ring.
"""

from itertools import product
from typing import NamedTuple

from ntm.models.machine.lookup import Code
from ntm.proofs.lockstep import Lockstep, Proof, near
from ntm.proofs.ticks import FAR, SEES, Did, Ticks, possible

RING = 2 * FAR + 2
"""Slots that are enough for a slot to be near home on one side alone; machines of fewer are not proved."""


class Node(NamedTuple):
    """Where both adders stand between two ticks."""

    carry: int
    slot: int
    register: Code
    left: Code
    own: Code
    right: Code


def prove_addition(ticks: Ticks) -> Proof:
    """That a machine adds, as task binary_add asks; raises UnprovedError where no proof is found."""
    possible(lacks(ticks.decisions.machine.access.start.slots))
    return additions(ticks).proof()


def lacks(slots: int) -> str:
    """Why there can be no proof for a ring of so many slots; empty: there may be one."""
    return f"model.slots={slots}: below {RING}" if slots < RING else ""


def additions(ticks: Ticks) -> Lockstep:
    """Every tick that may come, and what is due; raises UnprovedError where there are too many."""
    contents, count = {ticks.blank}, 0
    while len(contents) > count:  # what is written may be found: begin again with it
        count = len(contents)
        steps = Lockstep(ticks)
        waiting = [Node(0, 0, ticks.register, *[ticks.blank] * 3)]
        nodes: set[Node] = set()  # behind two bits at least, which may be the last
        while waiting:
            for node in added(steps, waiting.pop(), contents) - nodes:
                nodes.add(node)
                waiting.append(node)
                steps.few(len(nodes))
                carried(steps, node, contents)
    return steps


def added(steps: Lockstep, node: Node, contents: set[Code]) -> set[Node]:
    """Where both may be after two more bits, whose sum's bit is due."""
    found = set()
    held = sorted(contents)
    for a, b in product((0, 1), repeat=2):
        total = a + b + node.carry
        tick, did = steps.tick((a, b, 1), *node[1:])
        contents.add(did.content)
        for slot, *slots in after(node, did, held):
            steps.ends(tick, *slots, due=bytes([total % 2]))
            found.add(Node(total // 2, slot, did.register, *slots))
    return found


def carried(steps: Lockstep, node: Node, contents: set[Code]) -> None:
    """The tick behind the last bits: the carry is due."""
    tick, did = steps.tick((0, 0, 0), *node[1:])
    contents.add(did.content)
    for _, *slots in after(node, did, sorted(contents)):
        steps.ends(tick, *slots, due=bytes([node.carry]))


def after(node: Node, did: Did, contents: list[Code]) -> list[tuple]:
    """Where the head may be after a tick, and what it may see there: (slot, left, own, right)."""
    known = {-1: node.left, 0: did.content, 1: node.right}
    lost = did.moves[0].home and node.slot == FAR  # nothing is known of where it comes to
    by = did.slot(node.slot) - node.slot
    seen = [contents if lost or by + offset not in known else [known[by + offset]] for offset in SEES]
    return [(slot, *slots) for slot in places(node.slot, did) for slots in product(*seen)]


def places(slot: int, did: Did) -> list[int]:
    """Where a head may be after a tick: far from home it may be on either side of it."""
    home, step = did.moves[0]
    if home or slot != FAR:
        return [near(did.slot(slot))]
    return sorted({FAR, near(FAR + step), near(-FAR + step)})
