"""The Neural GPU against slow loops, its image's edges, and what its price of saturation asks."""

import pytest
import references
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from ntm.models.neural_gpu import NeuralGPU, beyond, diagonal
from tasks import Copy

SIZES = {"inputs": 3, "maps": 5, "width": 2, "kernel": 3, "improved": True, "saturation": 0.5, "outputs": 2}


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def model_of(**sizes):
    torch.manual_seed(0)
    model = NeuralGPU(**{**SIZES, **sizes}).double()
    for parameter in model.parameters():
        parameter.data *= 2  # some units are cut off
    return model


def numbers(model):
    return [parameter.detach().numpy() for parameter in model.parameters()]


@pytest.mark.parametrize("improved", [True, False])
@pytest.mark.parametrize(("width", "kernel"), [(1, 3), (2, 3), (4, 3), (2, 1), (3, 5)])
def test_it_is_the_papers_step_once_for_every_tick(width, kernel, improved):
    model, inputs = model_of(width=width, kernel=kernel, improved=improved), randn(2, 6, 3)
    output = model(inputs, record=True)
    _, price = model.run(inputs, torch.tensor([6, 6]))
    for row in range(2):
        logits, column, paid = references.neural_gpu(inputs[row].numpy(), width, kernel, improved, *numbers(model))
        assert_close(output.logits[row].detach().numpy(), logits)
        assert_close(output.signals[0].values[row].detach().numpy(), column)
        assert price[row].item() == pytest.approx(paid)
        assert (paid > 0) == improved


def test_thirds_of_the_maps_move_along_time():
    image = torch.arange(1.0, 5)[None, :, None, None].expand(1, 4, 2, 8)
    moved = diagonal(image)[0, :, 1].T.tolist()
    assert moved == [*2 * [[0, 1, 2, 3]], *2 * [[2, 3, 4, 0]], *4 * [[1, 2, 3, 4]]]
    assert torch.equal(diagonal(image[..., :2]), image[..., :2])  # too few maps for thirds: none moves


def test_a_row_is_the_same_alone_and_beside_longer_ones():
    model, inputs, noise = model_of(), randn(4, 7, 3), randn(4, 7, 15)
    ticks = torch.tensor([2, 7, 4, 7])
    column, price = model.run(inputs, ticks, noise)
    for row, last in enumerate(ticks.tolist()):
        alone, paid = model.run(inputs[row : row + 1, :last], ticks[row : row + 1], noise[row : row + 1, :last])
        assert_close(column[row, :last], alone[0])
        assert_close(price[row], paid[0])
        assert not column[row, last:].any()


@pytest.mark.parametrize("improved", [True, False])
def test_noise_is_added_to_what_goes_into_units_in_every_step(improved):
    """What is the same in every cell is a bias."""
    model, inputs, noise = model_of(improved=improved), randn(2, 5, 3), randn(15)
    assert model.noise_width == len(noise)
    noisy = model(inputs, noise=noise.expand(2, 5, 15)).logits
    model.step.gates.bias.data += noise[:10]
    model.step.candidate.bias.data += noise[10:]
    assert_close(noisy, model(inputs).logits)


def test_what_it_needs_is_counted_without_numbers():
    with torch.device("meta"):
        assert NeuralGPU(**SIZES)(torch.zeros(2, 4, 3), torch.tensor([4, 2])).logits.shape == (2, 4, 2)


def test_all_that_is_told_reaches_every_tick():
    model, inputs = model_of(improved=False), randn(1, 5, 3)
    other = inputs.clone()
    other[:, 4] += 1
    changed = (model(inputs).logits != model(other).logits).any(-1)
    assert changed.all()


def test_the_price_of_saturation_is_in_the_loss_and_falls_by_training():
    task = Copy(width=2)
    model = model_of(inputs=3, outputs=2)
    batch = task.batch(0, "train", 0, 4, (1, 3))
    batch = batch._replace(inputs=batch.inputs.double(), targets=batch.targets.double(), mask=batch.mask.double())
    logits = model(batch.inputs, batch.ticks).logits
    expected = sum(price / ticks**2 for price, ticks in zip(model.run(batch.inputs, batch.ticks)[1], batch.ticks.tolist())) / 4
    learned = model.learn(task, batch, "bits")
    assert_close(learned.loss, task.loss(logits, batch, "bits") + 0.5 * expected)
    assert learned.score.due.tolist() == task.score(logits, batch).due.tolist()
    optimizer, prices = torch.optim.Adam(model.parameters(), lr=1e-2), []
    for _ in range(20):
        price = model.run(batch.inputs, batch.ticks)[1].sum()
        optimizer.zero_grad()
        price.backward()
        optimizer.step()
        prices.append(price.item())
    assert prices[-1] < prices[0] / 2


def test_what_is_within_the_limit_costs_nothing():
    x = torch.tensor([-2.0, -0.9, 0, 0.5, 0.9, 1.4]).reshape(1, 2, 3, 1)
    assert_close(beyond(x), torch.tensor([[1.1, 0.5]]))


@pytest.mark.parametrize("improved", [True, False])
def test_gradients_are_right_and_reach_every_parameter(improved):
    model, inputs = model_of(improved=improved), randn(1, 4, 3).requires_grad_()
    ticks = torch.tensor([4])
    assert torch.autograd.gradcheck(lambda x: model.run(x, ticks), (inputs,))
    model(inputs).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_a_fresh_one_keeps_most_of_what_it_has():
    torch.manual_seed(0)
    model, image = NeuralGPU(**SIZES), torch.rand(1, 6, 2, 5)
    kept, _ = model.step(image, torch.ones(1, 6, 1, 1), torch.zeros(1, 6, 1, 15))
    assert F.l1_loss(kept, diagonal(image)) < 0.25
