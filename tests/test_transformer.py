"""The transformer and its positions against slow loops, and that it looks at nothing that is still to come."""

import numpy as np
import pytest
import references
import torch
from conftest import composed
from torch.nn import functional as F
from torch.testing import assert_close

from ntm.config import build, parse
from ntm.errors import UserError
from ntm.models.positions import distance_prices, rotated, sinusoids
from ntm.models.transformer import Block, Transformer

POSITIONS = ["sinusoidal", "rotary", "alibi", "none"]


def transformer(positions):
    torch.manual_seed(0)
    return Transformer(inputs=3, width=8, heads=2, layers=2, positions=positions, outputs=2).double()


@pytest.fixture
def model():
    return transformer("sinusoidal")


@pytest.fixture(params=POSITIONS)
def anyone(request):
    return transformer(request.param)


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("width", [2, 7, 8])
def test_positions_are_section_3_5(width):
    like = torch.zeros(1, dtype=torch.float64)
    assert_close(sinusoids(50, width, like).numpy(), references.positions(50, width))
    assert torch.equal(sinusoids(50, width, like)[:9], sinusoids(9, width, like))


@pytest.mark.parametrize("width", [2, 8])
def test_rotary_turns_are_equation_34_and_keep_lengths(width):
    x = randn(2, 3, 50, width)
    turned = rotated(x)
    assert_close(turned[1, 2].numpy(), references.rotary(x[1, 2].numpy()))
    assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[:, :, 0], x[:, :, 0])


@pytest.mark.parametrize(("heads", "slopes"), [(8, [2.0**-h for h in range(1, 9)]), (2, [2.0**-4, 2.0**-8]), (1, [2.0**-8])])
def test_alibi_prices_grow_with_the_distance(heads, slopes):
    prices = distance_prices(heads, 7, torch.zeros(1, dtype=torch.float64))
    for head, m in enumerate(slopes):
        for t in range(7):
            assert_close(prices[head, t, : t + 1].tolist(), [-m * (t - s) for s in range(t + 1)])


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_block_is_attention_then_two_layers(positions):
    torch.manual_seed(0)
    block, x = Block(8, 2, positions).double(), randn(3, 6, 8)
    asked = block.ask(F.layer_norm(x, (8,))).detach().numpy()
    weights = block.attention(x)
    for row in range(3):
        fetched = []
        for head in range(2):
            Q, K, V = (asked[row, :, part * 8 + head * 4 : part * 8 + head * 4 + 4] for part in range(3))
            if positions == "rotary":
                Q, K = references.rotary(Q), references.rotary(K)
            expected, of_head = references.attention(Q, K, V, 2.0 ** (-4 * (head + 1)) if positions == "alibi" else 0.0)
            assert_close(weights[row, head].detach().numpy(), expected)
            fetched.append(of_head)
        after = x[row] + block.answer(torch.from_numpy(np.concatenate(fetched, -1)))
        one, _, two = block.layers
        expected = after + two(F.gelu(one(F.layer_norm(after, (8,)))))
        assert_close(block(x)[row], expected)


@pytest.mark.parametrize(("positions", "relative"), [("sinusoidal", False), ("rotary", True), ("alibi", True), ("none", True)])
def test_who_knows_distances_alone_looks_alike_wherever_it_is(positions, relative):
    late = randn(2, 30, 3)
    early = transformer(positions)(late[:, 23:], record=True).signals[:2]  # of the first layer: later ones see sums over all
    for shown, alone in zip(transformer(positions)(late, record=True).signals, early):
        among = shown.values[:, 23:, 23:]
        among = among / among.sum(-1, keepdim=True)
        assert torch.allclose(among, alone.values) == relative


def test_what_is_still_to_come_changes_nothing(anyone):
    model, inputs = anyone, randn(2, 9, 3)
    other = inputs.clone()
    other[:, 5:] = randn(2, 4, 3) * 3
    assert_close(model(inputs).logits[:, :5], model(other).logits[:, :5])
    assert not torch.allclose(model(inputs).logits[:, 5:], model(other).logits[:, 5:])


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_past_changes_what_is_answered_by_its_order_too(positions):
    inputs, model = randn(1, 6, 3), transformer(positions)
    model.blocks = model.blocks[:1]  # deeper ones see how much past each tick had
    turned = inputs[:, [2, 0, 3, 1, 4, 5]]
    assert torch.allclose(model(inputs).logits[:, -1], model(turned).logits[:, -1]) == (positions == "none")


def test_attention_is_shown_head_by_head_and_sums_to_one(anyone):
    inputs, model = randn(2, 5, 3), anyone
    output = model(inputs, record=True)
    assert torch.equal(output.logits, model(inputs).logits)
    assert [s.name for s in output.signals] == [f"attention, layer {layer}, head {head}" for layer in (0, 1) for head in (0, 1)]
    for shown in output.signals:
        assert_close(shown.values.sum(-1), torch.ones(2, 5, dtype=torch.float64))
        assert not shown.values.triu(1).any()
        assert shown.weighting
    first = model.input(inputs) + (sinusoids(5, 8, inputs) if model.positions == "sinusoidal" else 0)
    assert torch.equal(output.signals[1].values, model.blocks[0].attention(first)[:, 1])


def test_gradients_are_right_and_reach_every_parameter(anyone):
    model, inputs = anyone, randn(1, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (inputs,))
    model(inputs).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_heads_must_share_the_width():
    with pytest.raises(UserError, match=r"model.heads=3: must divide model.width=128"):
        build(parse(composed("task=copy", "model=transformer", "model.heads=3")))


def test_rotary_positions_need_pairs_of_channels():
    words = ["task=copy", "model=transformer", "model.positions=rotary", "model.heads=2"]
    with pytest.raises(UserError, match=r"model.positions=rotary: .*model.width=6 over model.heads=2 is 3 each; allowed: an even"):
        build(parse(composed(*words, "model.width=6")))
    build(parse(composed(*words, "model.width=8")))
