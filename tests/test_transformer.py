"""The transformer against slow loops, and that it looks at nothing that is still to come."""

import numpy as np
import pytest
import references
import torch
from conftest import composed
from torch.nn import functional as F
from torch.testing import assert_close

from ntm.config import build, parse
from ntm.errors import UserError
from ntm.models.transformer import Block, Transformer, sinusoids


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Transformer(inputs=3, width=8, heads=2, layers=2, positions="sinusoidal", outputs=2).double()


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("width", [2, 7, 8])
def test_positions_are_section_3_5(width):
    like = torch.zeros(1, dtype=torch.float64)
    assert_close(sinusoids(50, width, like).numpy(), references.positions(50, width))
    assert torch.equal(sinusoids(50, width, like)[:9], sinusoids(9, width, like))


def test_a_block_is_attention_then_two_layers():
    torch.manual_seed(0)
    block, x = Block(8, 2).double(), randn(3, 6, 8)
    asked = block.ask(F.layer_norm(x, (8,))).detach().numpy()
    weights = block.attention(x)
    for row in range(3):
        fetched = []
        for head in range(2):
            Q, K, V = (asked[row, :, part * 8 + head * 4 : part * 8 + head * 4 + 4] for part in range(3))
            expected, of_head = references.attention(Q, K, V)
            assert_close(weights[row, head].detach().numpy(), expected)
            fetched.append(of_head)
        after = x[row] + block.answer(torch.from_numpy(np.concatenate(fetched, -1)))
        one, _, two = block.layers
        expected = after + two(F.gelu(one(F.layer_norm(after, (8,)))))
        assert_close(block(x)[row], expected)


def test_what_is_still_to_come_changes_nothing(model):
    inputs = randn(2, 9, 3)
    other = inputs.clone()
    other[:, 5:] = randn(2, 4, 3) * 3
    assert_close(model(inputs).logits[:, :5], model(other).logits[:, :5])
    assert not torch.allclose(model(inputs).logits[:, 5:], model(other).logits[:, 5:])


def test_without_positions_the_order_of_the_past_does_not_matter(model):
    inputs = randn(1, 6, 3)
    turned = inputs[:, [2, 0, 3, 1, 4, 5]]
    assert not torch.allclose(model(inputs).logits[:, -1], model(turned).logits[:, -1])
    model.positions = "none"
    model.blocks = model.blocks[:1]  # deeper ones see how much past each tick had
    assert_close(model(inputs).logits[:, -1], model(turned).logits[:, -1])


def test_attention_is_shown_head_by_head_and_sums_to_one(model):
    inputs = randn(2, 5, 3)
    output = model(inputs, record=True)
    assert torch.equal(output.logits, model(inputs).logits)
    assert [s.name for s in output.signals] == [f"attention, layer {layer}, head {head}" for layer in (0, 1) for head in (0, 1)]
    for shown in output.signals:
        assert_close(shown.values.sum(-1), torch.ones(2, 5, dtype=torch.float64))
        assert not shown.values.triu(1).any()
        assert shown.weighting
    first = model.input(inputs) + sinusoids(5, 8, inputs)
    assert torch.equal(output.signals[1].values, model.blocks[0].attention(first)[:, 1])


def test_gradients_are_right_and_reach_every_parameter(model):
    inputs = randn(1, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (inputs,))
    model(inputs).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_heads_must_share_the_width():
    with pytest.raises(UserError, match=r"model.heads=3: must divide model.width=128"):
        build(parse(composed("task=copy", "model=transformer", "model.heads=3")))
