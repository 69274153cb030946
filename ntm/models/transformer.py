"""A small causal transformer (Vaswani et al. 2017, arXiv 1706.03762), the decoder alone, normalised before each block.

What it may know of places in time is in positions.py. Letters: B batch, T ticks, I inputs, O outputs, C width, H heads.
"""

import math

from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.errors import UserError
from ntm.models.base import Model, ModelConfig, Output, Signal
from ntm.models.positions import Positions, causal, distance_prices, rotated, sinusoids
from tasks import Task
from tasks.fields import STRICT, Count, Few, Many


class Block(nn.Module):
    """Attention to this tick and those before it, then two layers at every tick; each adds to what comes in."""

    def __init__(self, width: int, heads: int, positions: Positions):
        super().__init__()
        self.heads, self.positions = heads, positions
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask = nn.Linear(width, 3 * width)
        self.answer = nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [B H T C/H], from [B T C]."""
        split = self.ask(self.before_attention(x)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
        if self.positions == "rotary":
            queries, keys = rotated(queries), rotated(keys)
        return queries, keys, values

    def forward(self, x: Tensor) -> Tensor:
        """[B T C] to [B T C]."""
        queries, keys, values = self.parts(x)
        if self.positions == "alibi":
            mask = causal(distance_prices(self.heads, x.shape[1], x))
            attended = F.scaled_dot_product_attention(queries, keys, values, mask)
        else:
            attended = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.answer(attended.transpose(1, 2).flatten(2))
        return x + self.layers(self.before_layers(x))

    def attention(self, x: Tensor) -> Tensor:
        """Where each tick looks: weights [B H T T]. Vaswani et al. 2017, eq. 1, before the values."""
        queries, keys, _ = self.parts(x)
        scores = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
        if self.positions == "alibi":
            scores = scores + distance_prices(self.heads, x.shape[1], x)
        return causal(scores).softmax(-1)


class Transformer(Model):
    """Linear in, blocks, linear out; every tick sees itself and what came before, so there is no state to go on from."""

    def __init__(self, inputs: int, width: int, heads: int, layers: int, positions: Positions, outputs: int):
        super().__init__()
        self.positions = positions
        self.input = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(Block(width, heads, positions) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, outputs)

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; attention is causal, so what follows the end of a sequence changes none of its logits."""
        assert state is None, "a transformer has no state to go on from"
        x = self.input(inputs)
        if self.positions == "sinusoidal":
            x = x + sinusoids(x.shape[1], x.shape[2], x)
        seen = []
        for block in self.blocks:
            seen.append(x)
            x = block(x)
        return Output(self.output(self.norm(x)), None, self.signals(seen) if record else ())

    def signals(self, seen: list[Tensor]) -> tuple[Signal, ...]:
        """Where each tick looked, head by head, from what each block saw, [B T C]."""
        return tuple(
            Signal(f"attention, layer {layer}, head {head}", "attention", "tick", weights, (0.0, 1.0), weighting=True)
            for layer, (block, x) in enumerate(zip(self.blocks, seen))
            for head, weights in enumerate(block.attention(x).unbind(1))  # type: ignore[operator]  # a ModuleList's are Modules
        )


@dataclass(frozen=True, config=STRICT)
class TransformerConfig(ModelConfig):
    """`model=transformer`."""

    width: Count
    heads: Many
    layers: Few
    positions: Positions

    @property
    def about(self) -> str:
        return f"causal transformer, {self.layers} layer(s) of {self.width}, {self.heads} heads, positions {self.positions}"

    def build(self, task: Task) -> Transformer:
        """The network for the task's channels; raises UserError where heads cannot share the width, or not in pairs."""
        if self.width % self.heads:
            raise UserError(f"model.heads={self.heads}: must divide model.width={self.width}")
        if self.positions == "rotary" and self.width // self.heads % 2:
            raise UserError(
                f"model.positions=rotary: turns pairs of channels, and model.width={self.width} over model.heads={self.heads} "
                f"is {self.width // self.heads} each; allowed: an even number each"
            )
        return Transformer(task.inputs, self.width, self.heads, self.layers, self.positions, task.outputs)
