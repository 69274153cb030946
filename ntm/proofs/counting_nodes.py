"""Where a repeater that counts may stand between two ticks: the nodes of its proof's search."""

from typing import NamedTuple

from ntm.models.machine.lookup import Code
from ntm.proofs.copying import Vector

BEYOND = 2
"""The first place that is no more told from the next."""


class Seen(NamedTuple):
    """A slot beside a head."""

    vector: Vector | None  # that came there; None: none did
    content: Code


class Listening(NamedTuple):
    """Between two ticks."""

    place: int  # slots from home, up to BEYOND
    register: Code
    left: Seen


class Answering(NamedTuple):
    """Before a tick on a slot with a vector, or on the count's."""

    counts: bool  # which of them
    lag: int  # slots from the one whose vector is due to the head's; none on the count's: the next copy has begun, or it is the end
    place: int  # where the count's is 1 there is one vector
    register: Code
    left: Seen


class Behind(NamedTuple):
    """Before a tick on the slot behind the count's, which the delimiter's tick went on to."""

    place: int  # of the count
    register: Code
    last: Seen  # the last vector
    left_there: Code  # in the count's slot


def on(place: int) -> int:
    """The place one slot on."""
    return min(BEYOND, place + 1)
