"""Giving up channels: which one goes, that it stays 0, and that one that is missed comes back bit by bit."""

import copy

import pytest
import torch
from conftest import composed

from ntm.config import parse
from ntm.training.curriculum import Progress, after_last
from ntm.training.module import LitModel
from ntm.training.pruning import EVERY, NEVER, cut, due, prune, wrong

WORDS = ["task=binary_mul", "task.lengths=[1,2]", "task.val_lengths=[2,3]", "task.test_lengths=[2]", "task.probe_length=2"]
WORDS += [
    "model=tape",
    "recipe=binary_mul_tape_wide",
    "model.controller.hidden=[12]",
    "curriculum.stages=[2]",
    "trainer.batch_size=4",
]


def last_stage(module: LitModel, **changed) -> Progress:
    return Progress(updates=100, stage=module.config.curriculum.all_stages - 1, noise=2.0, error=0.001)._replace(**changed)


@pytest.fixture
def module():
    torch.manual_seed(3)
    return LitModel(parse(composed(*WORDS)))


def channel(module: LitModel, name: str):
    return next(channel for channel in module.model.channels() if channel.name == name)


def steps(module: LitModel, progress: Progress) -> Progress:
    return prune(module.config, module.model, module.before, progress, lambda inputs: None)


def weights(module: LitModel) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.model.parameters()]


def test_channels_are_the_bits_of_the_register_and_of_a_slot(module):
    names = [channel.name for channel in module.model.channels()]
    assert names == [f"register {bit}" for bit in range(4)] + [f"slot {bit}" for bit in range(6)]


@pytest.mark.parametrize(("heads", "separate"), [(2, False), (2, True)])
def test_heads_that_share_a_tape_share_its_channels(heads, separate):
    words = [*WORDS, "model=tape_pair", f"model.heads.count={heads}", f"model.heads.separate={separate}", "model.slot_width=3"]
    machine = LitModel(parse(composed(*words))).model
    rows = {channel.name: channel.rows for channel in machine.channels() if channel.name.startswith("slot")}
    shared = {"slot 0": (0, 6), "slot 1": (1, 7), "slot 2": (2, 8)}
    apart = {f"slot {n}": (row,) for n, row in enumerate([0, 1, 2, 6, 7, 8])}
    assert rows == (apart if separate else shared)


@pytest.mark.parametrize("name", ["register 2", "slot 4"])
def test_what_is_cut_is_0_and_learning_does_not_bring_it_back(module, name):
    optimizer = module.configure_optimizers()
    batch = module.config.lesson(5).batch(0, "train", 0, 4)

    def learn():
        optimizer.zero_grad()
        module.model.learn(module.task, batch, "bits").loss.backward()
        optimizer.step()

    learn()  # there are moments
    with torch.no_grad():
        cut(channel(module, name), optimizer)
    for _ in range(3):
        learn()
    layer, (row,) = channel(module, name).layer, channel(module, name).rows
    assert not layer.weight[row].any()
    assert layer.bias[row].item() == NEVER
    states = module.model(batch.inputs, record=True).signals
    kind, bit = name.split()
    values = next(signal.values for signal in states if signal.picture == {"register": "register", "slot": "memory"}[kind])
    assert values[..., int(bit)].max() < 1e-5  # of a slot, what it began with


def test_the_channel_that_the_loss_misses_least_goes_first(module):
    progress, losses = last_stage(module), {}
    batch = module.config.lesson(progress.stage).batch(0, "train", progress.updates, 4)
    for name in [c.name for c in module.model.channels()]:
        other = copy.deepcopy(module)
        with torch.no_grad():
            cut(channel(other, name), other.before.optimizer)
            losses[name] = other.model.learn(other.task, batch, "bits").loss.item()
    assert len(set(losses.values())) == len(losses)
    after = steps(module, progress)
    assert (after.cut_at, after.cut) == (100, 0)
    gone = [c.name for c in module.model.channels() if not c.layer.weight[list(c.rows)].any()]
    assert gone == [min(losses, key=losses.__getitem__)]


def test_one_that_is_not_missed_stays_cut_and_the_next_follows(module):
    progress = steps(module, last_stage(module))
    progress = progress._replace(updates=100 + EVERY, wrong=wrong(module.config, module.model))
    progress = steps(module, progress)
    assert (progress.cut, progress.cut_at, progress.pruned) == (1, 100 + EVERY, False)
    assert sum(not c.layer.weight[list(c.rows)].any() for c in module.model.channels()) == 2


def test_one_that_is_missed_too_long_comes_back_with_weights_moments_and_error(module):
    before, known = weights(module), last_stage(module)
    progress = steps(module, known)
    late = progress._replace(updates=100 + EVERY, error=0.3)
    assert steps(module, late) == late  # it still has time
    late = late._replace(updates=100 + module.config.curriculum.pruning_updates)
    back = steps(module, late)
    assert (back.missed, back.cut_at, back.cut) == ((progress.trial,), None, 0)
    assert (back.error, back.updates) == (known.error, late.updates)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(module), strict=True))


def test_one_that_was_missed_is_not_tried_again_and_all_others_are(module):
    progress, tried = last_stage(module), []
    for _ in module.model.channels():
        progress = steps(module, progress)
        tried.append(progress.trial)
        progress = steps(module, progress._replace(updates=progress.updates + module.config.curriculum.pruning_updates, error=0.3))
    assert sorted(tried) == sorted(progress.missed) == list(range(10))
    assert not progress.pruned
    assert steps(module, progress).pruned


def test_longer_sequences_that_went_wrong_are_missed_as_well(module, monkeypatch):
    progress = steps(module, last_stage(module))._replace(updates=100 + EVERY, wrong=0)
    monkeypatch.setattr("ntm.training.pruning.SLACK", -1)
    assert steps(module, progress) == progress


def test_with_nothing_left_it_is_over(module):
    with torch.no_grad():
        for channel in module.model.channels():
            cut(channel, module.before.optimizer)
    assert steps(module, last_stage(module)).pruned


def test_it_begins_when_noise_is_in_full_and_looks_now_and_then(module):
    curriculum = module.config.curriculum
    assert not due(curriculum, last_stage(module, noise=1.9))
    assert not due(curriculum, last_stage(module, stage=curriculum.all_stages - 2))
    assert due(curriculum, last_stage(module))
    assert not due(curriculum, last_stage(module, pruned=True))
    looks = [n for n in range(1, 51) if due(curriculum, last_stage(module, cut_at=100, updates=100 + n))]
    assert looks == [20, 40]


def test_rounding_waits_until_it_is_over(module):
    curriculum, progress = module.config.curriculum, last_stage(module)
    assert after_last(curriculum, progress).rounding == 0
    on_trial = progress._replace(cut_at=100, error=0.5)
    assert after_last(curriculum, on_trial) == on_trial  # nor does noise fall
    assert after_last(curriculum, progress._replace(pruned=True)).rounding > 0
