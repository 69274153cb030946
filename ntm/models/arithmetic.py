"""What arithmetic units share: layers whose weights mean something when they are whole numbers, and are then read as a formula.

Letters: B batch, T ticks, I inputs, O outputs.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from ntm.models.base import Model, Output, Signal

NEAR = 1e-2
"""How far from a whole number a weight may be to be read as one."""


class Unit(nn.Module, ABC):
    """A layer [... I] to [... O] with one weight [O I] for every pair of an output and an input."""

    weight: Tensor

    @abstractmethod
    def formulas(self, names: list[str]) -> list[str]:
        """What each output computes of inputs with these names, were the weights the whole numbers next to them."""

    def signals(self, x: Tensor, number: int) -> tuple[Signal, ...]:
        """What layer `number` shows, beside what it computes, of the inputs [B T I] that it saw."""
        return ()


class Stack(Model):
    """Layers of such units, the same at every tick, with nothing after the last."""

    def __init__(self, layers: Sequence[Unit]):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; what every layer computes is shown as a signal."""
        x, shown = inputs, []
        for number, layer in enumerate(self.layers, 1):
            beside = layer.signals(x, number) if record else ()  # type: ignore[operator]  # a ModuleList's are Modules
            x = layer(x)
            shown += [Signal(f"layer {number}", "layers", "unit", x), *beside]
        return Output(x, None, tuple(shown) if record else ())

    def units(self) -> list[Unit]:
        """The layers, by what they are."""
        return [layer for layer in self.layers if isinstance(layer, Unit)]

    def told(self) -> str:
        """The formula of every output, or how far the weights are from being one."""
        weights = [unit.weight.detach() for unit in self.units()]
        far = max(float((weight - weight.round()).abs().max()) for weight in weights)
        if far > NEAR:
            return f"its weights are up to {far:.3f} away from whole numbers"
        names = [f"x{channel}" for channel in range(1, weights[0].shape[1] + 1)]
        for unit in self.units():
            names = unit.formulas(names)
        return ", ".join(names)


def described(kind: str, layers: int, width: int) -> str:
    """Layers of units for the summary of a run."""
    return f"{kind}, {layers} layer(s), {width} unit(s) between them"


def layers_of(before: type[Unit], last: type[Unit], inputs: int, width: int, layers: int, outputs: int) -> list[Unit]:
    """So many layers, `width` wide between each other, the last one of a kind of its own."""
    sizes = [inputs, *[width] * (layers - 1), outputs]
    kinds = [*[before] * (layers - 1), last]
    return [kind(*pair) for kind, pair in zip(kinds, zip(sizes, sizes[1:]))]


def sums(weight: Tensor, names: list[str]) -> list[str]:
    """The sum that each row of weights [O I] near -1, 0 and 1 makes of the inputs with these names."""
    names = [bracketed(name) for name in names]
    rows = ["".join(f" {'+' if w > 0 else '-'} {name}" for w, name in zip(row, names) if w) for row in weight.round().tolist()]
    return ["-" + row[3:] if row.startswith(" - ") else row[3:] or "0" for row in rows]


def products(weight: Tensor, names: list[str]) -> list[str]:
    """The product that each row of exponents [O I] near -1, 0 and 1 makes of the inputs with these names."""
    formulas = []
    for row in weight.round().tolist():
        above = " * ".join(name for w, name in zip(row, names) if w > 0) or "1"
        formulas.append(above + "".join(f" / {name}" for w, name in zip(row, names) if w < 0))
    return formulas


def bracketed(name: str) -> str:
    """A formula as a part of a larger one."""
    return f"({name})" if " " in name else name
