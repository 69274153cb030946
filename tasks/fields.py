"""The checked field types that tasks, models and recipes share: pydantic checks them wherever a configuration is made."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

STRICT = ConfigDict(extra="forbid")
"""An unknown field is an error, in every part of the configuration."""


def ascending(bounds: tuple[int, int]) -> tuple[int, int]:
    """The bounds of a range, checked; raises ValueError where the first is above the second."""
    if bounds[0] > bounds[1]:
        raise ValueError(f"must be [shortest, longest], not [{bounds[0]}, {bounds[1]}]")
    return bounds


def odd(width: int) -> int:
    """The width of a shift, checked; raises ValueError where no move would be the middle one."""
    if width % 2 == 0:
        raise ValueError("must be odd (1, 3, 5, ...), so that staying is the middle of the moves")
    return width


MOST = 2**31 - 1
"""The largest count: what is larger is a slip of the finger, and torch could not index it."""

Integer = Annotated[int, Field(strict=True, ge=-MOST, le=MOST)]
Natural = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Count = Annotated[int, Field(strict=True, ge=1, le=MOST)]
Many = Annotated[int, Field(strict=True, ge=1, le=1000)]
MOST_PARTS = 64
Few = Annotated[int, Field(strict=True, ge=1, le=MOST_PARTS)]
"""A number of parts that are made one by one: layers, a machine's heads."""
Odd = Annotated[int, Field(strict=True, ge=1, le=101), AfterValidator(odd)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Range = Annotated[tuple[Count, Count], AfterValidator(ascending)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1, max_length=1000)]
"""At least one count: the lengths of a validation."""
Widths = Annotated[tuple[Count, ...], Field(min_length=1, max_length=MOST_PARTS)]
"""The sizes of layers."""
