"""One update: clipping by norm and by value, skipping what is not finite bit for bit, the optimiser, the curriculum."""

import math
from dataclasses import replace

import pytest
import torch
from conftest import composed
from torch import nn
from torch.testing import assert_close

from ntm.config import parse
from ntm.models.machine import Machine
from ntm.recipe import CurriculumConfig, WarmupConfig
from ntm.training.clipping import clip_gradients
from ntm.training.curriculum import Progress, after_update, draw_stage, finished, focus, in_use, learning_rate, rates
from ntm.training.data import Draw
from ntm.training.module import LitModel
from ntm.training.optimizers import Adam, GravesRMSprop
from tasks.losses import BIT_LOSSES, masked_bits

LOSS = torch.tensor(1.0)


def gradients(*values):
    parameters = [nn.Parameter(torch.zeros(len(v))) for v in values]
    for p, v in zip(parameters, values):
        p.grad = torch.tensor(v)
    return [(f"p{i}", p) for i, p in enumerate(parameters)]


def test_clipping_by_norm_scales_everything_together():
    named = gradients([3.0, 0.0], [4.0])
    found = clip_gradients(named, LOSS, "norm", 1.0)
    assert found == (pytest.approx(5.0), 1.0, None)
    assert_close(named[0][1].grad, torch.tensor([0.6, 0.0]))
    assert_close(named[1][1].grad, torch.tensor([0.8]))
    assert clip_gradients(gradients([3.0], [4.0]), LOSS, "norm", 6.0).fraction == 0


def test_clipping_by_value_cuts_each_element():
    named = gradients([30.0, -0.5, -11.0], [10.0])
    found = clip_gradients(named, LOSS, "value", 10.0)
    assert found.fraction == 0.5
    assert named[0][1].grad.tolist() == [10.0, -0.5, -10.0]


@pytest.mark.parametrize("mode", ["norm", "value"])
def test_the_first_offender_is_named_and_nothing_is_clipped(mode):
    named = gradients([20.0], [math.inf], [math.nan])
    assert clip_gradients(named, LOSS, mode, 1.0).offender == "gradient of p1"
    assert named[0][1].grad.item() == 20.0
    assert clip_gradients(gradients([1.0]), torch.tensor(math.nan), mode, 1.0).offender == "loss"
    assert clip_gradients(gradients([3e38], [3e38]), LOSS, mode, 1.0).offender == "gradient norm"


@pytest.fixture
def lit(monkeypatch):
    monkeypatch.setattr(LitModel, "manual_backward", lambda self, loss: loss.backward())  # Lightning's asks a trainer
    monkeypatch.setattr(LitModel, "loggers", [])
    torch.manual_seed(0)
    return LitModel(parse(composed("task=copy")))


def update(lit, optimizer, spoil=None):
    """One update, after `spoil` has changed the loss."""
    draw = Draw(lit.task.batch(0, "train", lit.progress.updates, 4), 0)
    learn = lit.model.learn
    if spoil is not None:
        lit.model.learn = lambda *given: learn(*given)._replace(loss=spoil(learn(*given).loss))
    lit.update(draw, optimizer)
    lit.model.learn = learn


def snapshot(lit, optimizer):
    moments = [t.clone() for state in optimizer.state.values() for t in state.values() if torch.is_tensor(t)]
    return [p.detach().clone() for p in lit.parameters()] + moments


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_skipped_update_touches_no_weight_and_no_moment(lit, name, value):
    object.__setattr__(lit.config.optimizer, "name", name)
    optimizer = lit.configure_optimizers()
    update(lit, optimizer)
    before = snapshot(lit, optimizer)
    assert len(before) > len(list(lit.parameters()))
    update(lit, optimizer, lambda loss: loss * value)
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot(lit, optimizer), strict=True))
    assert lit.skips == (1, 1, "loss")
    update(lit, optimizer)
    assert not all(torch.equal(a, b) for a, b in zip(before, snapshot(lit, optimizer), strict=True))
    assert lit.skips[:2] == (1, 0)
    assert lit.progress.updates == 3


def test_graves_rmsprop_equals_its_equations():
    p = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = GravesRMSprop([p], lr=0.01)
    n = g = delta = 0.0
    expected = torch.tensor([1.0, -2.0], dtype=torch.float64)
    for step in range(5):
        epsilon = torch.tensor([0.5 + step, -0.3 * step], dtype=torch.float64)  # the gradient
        p.grad = epsilon.clone()
        optimizer.step()
        n = 0.95 * n + 0.05 * epsilon**2
        g = 0.95 * g + 0.05 * epsilon
        delta = 0.9 * delta - 0.01 * epsilon / (n - g**2 + 1e-4) ** 0.5
        expected = expected + delta
    assert_close(p.detach(), expected)


def test_graves_rmsprop_takes_a_closure_and_leaves_parameters_without_gradient_alone():
    p, still = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = GravesRMSprop([p, still], lr=0.1)

    def closure():
        loss = (p**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1
    assert p.item() < 1
    assert still.item() == 1


def test_loss_in_bits_per_bit_that_is_due():
    targets, mask = torch.tensor([[[1.0], [0.0], [1.0]]]), torch.tensor([[1.0, 0.0, 1.0]])
    assert masked_bits(torch.zeros(1, 3, 1), targets, mask).item() == pytest.approx(1)
    assert masked_bits(torch.tensor([[[50.0], [50.0], [50.0]]]), targets, mask).item() == pytest.approx(0)


def test_mean_over_sequences_counts_a_short_one_as_much_as_a_long_one():
    mask = torch.tensor([[0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    logits = torch.tensor([[0.0, 50.0, 50.0, 50.0], [0.0, 0.0, 0.0, 0.0]]).unsqueeze(-1)
    assert BIT_LOSSES["bits"](logits, torch.ones(2, 4, 1), mask).item() == pytest.approx(1 / 4)
    assert BIT_LOSSES["sequences"](logits, torch.ones(2, 4, 1), mask).item() == pytest.approx(1 / 2)


CURRICULUM = CurriculumConfig(
    stages=(1, 2, 4),
    top_share=0.5,
    least_batches=3,
    advance_below=0.1,
    learned_below=0.0,
    noise=1.0,
    noise_updates=10,
    noise_below=0.02,
    noise_above=0.2,
)


def test_a_stage_ends_by_success_and_not_before_enough_batches():
    p = Progress(error=0.1)
    for _ in range(2):
        p = after_update(CURRICULUM, p, 0, 0.0)
    assert p.stage == 0
    p = after_update(CURRICULUM, p, 0, 0.0)
    assert (p.stage, p.batches) == (1, 0)
    assert after_update(CURRICULUM, p, 0, 0.9) == p._replace(updates=4)  # a batch of an earlier stage says nothing of this one
    stuck = p
    for _ in range(50):
        stuck = after_update(CURRICULUM, stuck, 1, 0.5)
    assert stuck.stage == 1


def test_noise_rises_and_falls_by_success():
    p = Progress(stage=2, batches=10, error=0.04)
    p = after_update(CURRICULUM, p, 2, 0.0)
    assert p.noise == 0
    for _ in range(30):
        p = after_update(CURRICULUM, p, 2, 0.0)
    assert p.noise == 1.0
    for _ in range(5):
        p = after_update(CURRICULUM, p, 2, 1.0)
    assert p.noise < 1.0
    assert after_update(CURRICULUM, p, 2, math.nan) == p._replace(updates=p.updates + 1)


def test_the_penalty_on_blurred_heads_grows_with_the_noise():
    focused = replace(CURRICULUM, noise=2.0, focus=0.5)
    assert [focus(focused, Progress(noise=n)) for n in (0.0, 1.0, 2.0)] == [0, 0.25, 0.5]
    assert focus(CURRICULUM, Progress(noise=1.0)) == 0
    assert focus(replace(CURRICULUM, noise=0.0, focus=0.5), Progress()) == 0


def test_the_penalty_is_a_mean_over_ticks_then_over_rows_as_heavy_as_their_bits(lit):
    """Heads that stand on one slot cost nothing; those that look at all N slots alike, 1 - 1/N."""
    batch, model = lit.task.batch(0, "train", 0, 3), lit.model
    model.use("eager")
    plain = model.learn(lit.task, batch, "bits").loss
    assert model.learn(lit.task, batch, "bits", focus=0.5).loss > plain
    blurs = iter([torch.ones(3), torch.zeros(3)] + [torch.zeros(3)] * 100)
    model.cell.blur = lambda state: next(blurs)  # blurred at the first tick only
    penalty = model.learn(lit.task, batch, "bits", focus=0.5).loss - plain
    bits = batch.mask.sum(1)
    assert_close(penalty, 0.5 * (bits / batch.ticks).sum() / bits.sum(), atol=1e-6, rtol=1e-4)
    state = Machine.initial_state(model.cell, 1)
    assert_close(Machine.blur(model.cell, state), torch.zeros(1))
    alike = torch.full_like(state.access.weights, 1 / state.access.weights.shape[-1])
    assert_close(Machine.blur(model.cell, state._replace(access=state.access._replace(weights=alike))), torch.tensor([1 - 1 / 32]))


def test_half_of_the_batches_are_of_the_present_stage():
    drawn = [draw_stage(CURRICULUM, 0, Progress(updates=i, stage=2)) for i in range(2000)]
    assert 900 < drawn.count(2) < 1100
    assert set(drawn) == {0, 1, 2}
    assert drawn == [draw_stage(CURRICULUM, 0, Progress(updates=i, stage=2)) for i in range(2000)]
    assert {draw_stage(CURRICULUM, 0, Progress(updates=i)) for i in range(20)} == {0}


def test_the_rate_holds_until_learned_then_halves_down_to_its_floor(lit):
    recipe = lit.config.optimizer
    assert learning_rate(recipe, CURRICULUM, Progress(updates=10_000)) == recipe.lr
    learned = Progress(updates=100 + recipe.half_life, learned_at=100)
    assert learning_rate(recipe, CURRICULUM, learned) == pytest.approx(recipe.lr / 2)
    assert learning_rate(recipe, CURRICULUM, learned._replace(updates=10**6)) == recipe.lr_floor


def test_at_the_last_stage_the_rate_is_in_proportion_to_the_error(lit):
    recipe = replace(lit.config.optimizer, lr=1e-3, lr_floor=1e-4, error_rate=0.02)
    rates = [learning_rate(recipe, CURRICULUM, Progress(stage=2, error=error)) for error in (0.5, 0.02, 0.01, 0.0)]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 1e-4])
    assert learning_rate(recipe, CURRICULUM, Progress(stage=1, error=0.01)) == 1e-3


WARM = replace(
    CURRICULUM,
    warmup=WarmupConfig(
        task={"supervision": "echo"}, stages=(1, 2), advance_below=0.1, focus=0.3, focused_below=0.02, addressing_rate=5.0
    ),
)


def test_a_warm_up_ends_when_heads_are_sharp_and_its_batches_do_not_come_back(lit):
    assert (WARM.warm_stages, WARM.all_stages) == (2, 5)
    p = Progress(stage=1, batches=10, error=0.0)
    assert after_update(WARM, p, 1, 0.0, blur=0.9).stage == 1
    sharp = after_update(WARM, p._replace(blur=0.02), 1, 0.0, blur=0.0)
    assert (sharp.stage, sharp.batches, sharp.error) == (2, 0, 0.5)
    assert {draw_stage(WARM, 0, Progress(updates=n, stage=1)) for n in range(50)} == {0, 1}
    assert {draw_stage(WARM, 0, Progress(updates=n, stage=2)) for n in range(50)} == {2}
    assert {draw_stage(WARM, 0, Progress(updates=n, stage=4)) for n in range(99)} == {2, 3, 4}
    assert [focus(WARM, Progress(stage=stage)) for stage in range(3)] == [0, 0.3, 0]
    recipe = lit.config.optimizer
    assert [rates(recipe, WARM, Progress(stage=n))["addressing"] for n in (1, 2)] == [5.0, recipe.addressing_rate]


def test_rounding_rises_after_noise_and_falls_before_it():
    rounding = replace(CURRICULUM, rounding_updates=4)
    p = Progress(stage=2, batches=10, error=0.0, noise=0.95)
    seen = []
    for error in [0.0] * 7 + [9.0] * 3:
        p = after_update(rounding, p, 2, error)
        seen.append((p.noise, p.rounding))
        assert finished(rounding, p) == (seen[-1] == (1.0, 1.0))
        assert in_use(rounding, p) == float(p.rounding > 0)
    assert seen == [(1.0, r) for r in (0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.0)] + [(0.6, 0.0), (pytest.approx(0.2), 0.0)]


def test_noise_is_a_pure_function_of_seed_and_update():
    lit = LitModel(parse(composed("task=binary_mul")))
    inputs = torch.zeros(2, 5, 3)
    assert lit.noise(inputs) is None
    lit.progress = Progress(noise=2.0)
    first = lit.noise(inputs)
    torch.manual_seed(1)
    assert torch.equal(first, lit.noise(inputs))
    lit.progress = lit.progress._replace(updates=1)
    assert not torch.equal(first, lit.noise(inputs))


def test_adam_is_torchs_by_one_thread_and_leaves_threads_as_they_are(monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: seen.append(threads))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    seen, parts = [], [nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2)]
    both = [kind([part], lr=0.1) for kind, part in zip((Adam, torch.optim.Adam), parts)]
    for _ in range(3):
        for part, optimizer in zip(parts, both):
            part.grad = torch.cos(3 * part.detach())
            assert optimizer.step(lambda: len(seen)) == len(seen) - (2 if optimizer is both[0] else 0)
    assert_close(*parts)
    assert seen == [1, 2] * 3


def test_parameters_have_the_same_place_in_every_process(lit):
    places = [p for group in lit.configure_optimizers().param_groups for p in group["params"]]
    names = {id(p): name for name, p in lit.named_parameters()}
    moving = ["model.cell.access.addressing.weight", "model.cell.access.addressing.bias"]
    assert [names[id(p)] for p in places] == [n for n in names.values() if n not in moving] + moving
