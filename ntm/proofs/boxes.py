"""A box followed through the layers of one tick, in float32 as it is: what is proved holds for any order of summation.

Around what a controller sees lies a box. Unit by unit it is an exact linear map of the box where a ReLU keeps its side in the
whole box, and an interval where it may not; what float32 adds to it is counted at every layer:

* each product and each sum is off by at most ROUNDING of it, whatever the order, and by TINY where it is too small for a normal
  number, be it kept or flushed to zero, as may be a weight or a value before it;
* no sum may come near the largest float32 on its way: `inf - inf` is no number, and so is 0 * inf. Units that nothing listens
  to count, too.

Letters: C units, R what is read, Q register, L logits, H tapes, A symbols.
"""

from typing import NamedTuple

import numpy as np
import torch

from ntm.models.recurrent import Recurrent
from ntm.models.turing.compiler import shape_of

ROUNDING = 2.0**-24
"""Unit roundoff of float32."""

TINY = 2.0**-126
"""The smallest normal float32: more than an operation is off that ends, or begins, below it."""

LARGEST = float(np.finfo(np.float32).max) / 2
"""What the magnitudes of a sum's terms may add up to: half of it is left for rounding."""


class OverflowsError(ArithmeticError):
    """A sum of float32 numbers may leave their range on its way."""


class Layers(NamedTuple):
    """The network of one tick as weights and biases in float64."""

    hidden: list[tuple[np.ndarray, np.ndarray]]
    last: tuple[np.ndarray, np.ndarray]  # [L C], [L]: register, writing, addressing, and the output as the last row
    tail: np.ndarray  # [H A], what the output makes of the reads after the tick


def layers_of(machine: Recurrent) -> Layers:
    """The weights of a machine as a certificate needs them."""

    def exact(tensor: torch.Tensor) -> np.ndarray:
        return tensor.detach().double().numpy()

    controller, feedback, heads, output = shape_of(machine)
    assert all(parameter.dtype == torch.float32 for parameter in machine.parameters()), "float32 is what is modelled"
    assert (heads.window, heads.control, heads.shift_width) == ((0,), None, 3), "heads of a Turing machine"
    assert heads.tapes == heads.heads, "a tape each"
    hidden = [(exact(layer.weight), exact(layer.bias)) for layer in controller.layers if isinstance(layer, torch.nn.Linear)]
    layers = [feedback, heads.writing, heads.addressing]
    width = controller.width
    weights = torch.cat([*(layer.weight for layer in layers), output.weight[:, :width]])
    biases = torch.cat([*(layer.bias for layer in layers), output.bias])
    return Layers(hidden, (exact(weights), exact(biases)), exact(output.weight[0, width:]).reshape(heads.heads, -1))


def box(layers: Layers, centre: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre [L] and radius [L] of the logits, from what the controller sees [R+Q] and how far that may be off [R+Q].

    The output's holds whatever symbols are read after the tick. Raises OverflowsError.
    """
    # Deviation of the units = linear @ deviation of what is seen, plus at most loose. Units that are surely 0 are left out.
    units, linear, loose, most = centre, None, np.zeros(len(centre)), np.abs(centre) + spread
    alive: slice | np.ndarray = slice(None)
    for weight, bias in layers.hidden:
        w = weight[:, alive]
        size = np.abs(w)
        value, error = w @ units + bias, size @ loose + rounding(size @ most + np.abs(bias), size, most)
        through = w if linear is None else w @ linear
        radius = np.abs(through) @ spread + error
        alive = np.flatnonzero(value + radius >= 0)
        on = (value - radius)[alive] > 0
        units = np.maximum(value[alive], 0.0)
        linear = np.where(on[:, None], through[alive], 0.0)
        loose = np.where(on, error[alive], radius[alive])
        most = np.abs(units) + np.abs(linear) @ spread + loose
    assert linear is not None, "a controller has a hidden layer"
    weight, bias = layers.last
    w = weight[:, alive]
    size = np.abs(w)
    # After the tick one symbol of each tape is read, and what is off in every channel; it may be summed first or last.
    tail, after = np.abs(layers.tail), np.zeros((len(w), 1))
    after[-1] = tail.max(1).sum() + tail.sum() * spread.max()
    sums, most = size @ most + np.abs(bias) + after[:, 0], np.concatenate([most, np.full(tail.size, 1 + spread.max())])
    error = size @ loose + after[:, 0] + rounding(sums, np.concatenate([size, np.full_like(after, tail.sum())], axis=1), most)
    return w @ units + bias, np.abs(w @ linear) @ spread + error


def rounding(sums: np.ndarray, size: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The most that float32 may be off in weights @ units + bias, whose terms' magnitudes add up to at most `sums` [L].

    `size` are the weights' magnitudes, a row of them for each sum, `most` those of the units. There is a factor of 2 to spare, for
    rounding upon rounding and for float64's own. Raises OverflowsError.
    """
    if not (sums < LARGEST).all():
        raise OverflowsError
    terms = len(most) + 2
    return 2 * terms * (ROUNDING * sums + TINY) + TINY * (size.sum(1) + most.sum())
