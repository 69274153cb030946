"""Attempts: when one is given up, that the next is as a run of its own, and that both are counted and told."""

from dataclasses import replace

import pytest
import torch
from conftest import TINY, composed
from test_exhaustive import Clock
from test_pruning import WORDS
from test_update import CURRICULUM

from ntm.config import build, parse
from ntm.training.attempts import begin_anew, stuck
from ntm.training.curriculum import Progress, after_update, steps
from ntm.training.module import LitModel, Tally
from tasks import Score


def test_an_attempt_is_stuck_when_nothing_new_is_reached_for_so_many_updates():
    assert [stuck(100, Progress(updates=400, reached=n)) for n in (299, 300, 301)] == [True, True, False]
    assert not stuck(0, Progress(updates=10**6))


def test_stages_quarters_of_noise_and_rounding_and_channels_are_steps():
    progress = Progress(stage=2, noise=0.9)
    assert [steps(CURRICULUM, progress._replace(noise=n)) for n in (0.0, 0.24, 0.25, 0.9, 1.0)] == [2, 2, 3, 5, 6]
    assert steps(CURRICULUM, progress._replace(cut=2, missed=(1,), pruned=True, rounding=0.6)) == 11
    assert steps(replace(CURRICULUM, noise=0.0), Progress(stage=2)) == 2


def test_what_is_lost_and_won_again_is_nothing_new():
    noisy = replace(CURRICULUM, noise_updates=1)
    p = Progress(updates=99, stage=2, error=0.0)
    p = after_update(noisy, p, 2, 0.0)
    assert (p.noise, p.steps, p.reached) == (1.0, 6, 100)
    p = after_update(noisy, p, 2, 9.0)
    assert (p.noise, p.steps, p.reached) == (0.0, 6, 100)
    p = after_update(noisy, p._replace(error=0.0), 2, 0.0)
    assert (p.noise, p.steps, p.reached) == (1.0, 6, 100)


def test_the_next_attempt_has_other_weights_no_moments_and_the_first_stage():
    module = LitModel(parse(composed(*WORDS)))
    known = {name: value.clone() for name, value in module.model.state_dict().items()}
    optimizer = module.configure_optimizers()
    module.model.learn(module.task, module.config.lesson(5).batch(0, "train", 0, 4), "bits").loss.backward()
    optimizer.step()
    global_state = torch.get_rng_state()
    p = begin_anew(module.config, module.model, optimizer, Progress(updates=50, stage=3, noise=1.0, given_up=(20,)))
    assert p == Progress(updates=50, given_up=(20, 50), reached=50)
    assert not optimizer.state
    assert torch.equal(torch.get_rng_state(), global_state)
    drawn = {name: value.clone() for name, value in module.model.state_dict().items()}
    changed = [name for name, value in known.items() if not torch.equal(value, drawn[name])]
    torch.manual_seed(0)
    other = build(module.config).state_dict()
    assert set(changed) >= {name for name in known if not torch.equal(known[name], other[name])}
    again = begin_anew(module.config, module.model, optimizer, Progress(updates=70, given_up=(20,)))
    assert again.given_up == (20, 70)
    assert all(torch.equal(value, drawn[name]) for name, value in module.model.state_dict().items())


@pytest.fixture
def told(run, capsys):
    words = ["curriculum.stages=[1,2]", "curriculum.advance_below=0", "curriculum.patience_updates=6"]
    run("train", *TINY, *words, "trainer.max_steps=15", "run_dir=run")
    return capsys.readouterr().out


def test_attempts_are_counted_in_the_checkpoint_and_told(told):
    progress = torch.load("run/last.ckpt", weights_only=True)["ntm"]["progress"]
    assert (progress["given_up"], progress["reached"]) == ((6, 12), 12)
    assert "attempt 1 given up after update 6: nothing new for 6 updates; begun anew" in told
    assert "attempt 2 given up after update 12" in told
    assert ", attempt 3" in told


AT_ITS_END = ["task=binary_mul", "task.val_lengths=[2]", "task.test_lengths=[2]", "task.every_pair=0", "trainer.val_sequences=2"]


@pytest.mark.parametrize("provable", [True, False])
def test_a_run_with_a_proof_to_find_is_over_only_when_it_is_found(provable, monkeypatch):
    asked = []

    def proves(model):
        asked.append(model.rounded)
        return provable

    lit = LitModel(parse(composed(*AT_ITS_END)), proves)
    lit.trainer = Clock()
    at_last = Progress(updates=100, stage=lit.config.curriculum.all_stages - 1, noise=2.0, rounding=1.0, pruned=True, reached=90)
    lit.progress = at_last
    lit.model.round(1.0)
    lit.tallies = [Tally(2, 0.25, Score(torch.zeros(2), torch.full((2,), 4)))]
    lit.on_validation_epoch_end()
    assert asked == [True]
    assert (lit.solved, lit.trainer.should_stop, lit.progress.unproved) == (provable, provable, not provable)
    assert lit.kept.progress == lit.progress
    assert lit.selection == pytest.approx(1e-3 * 0.2 + 0.5 * (not provable))
    assert stuck(10**6, lit.progress) == (not provable)
    lit.progress = at_last._replace(rounding=0.9)  # before the end nobody asks
    lit.tallies = [Tally(2, 0.25, Score(torch.zeros(2), torch.full((2,), 4)))]
    lit.on_validation_epoch_end()
    assert asked == [True]


UNPROVABLE = [
    ["task=identity", "curriculum.proof=true"],
    ["task=repeat_copy", "model=tape", "task.protocol=counted"],
    ["task=copy", "model=tape", "task.width=11"],
    ["task=binary_add", "model.slots=7"],
    ["task=binary_mul", "curriculum.rounding_updates=0"],
    ["task=binary_mul", "model=tape_pair", "recipe=binary_mul_tape_wide"],
]


@pytest.mark.parametrize("words", UNPROVABLE)
def test_a_proof_is_asked_for_only_of_what_can_be_proved(words, run, capsys):
    with pytest.raises(SystemExit) as ended:
        run("train", *words, "run_dir=run")
    assert ended.value.code == 2
    assert "curriculum.proof=true" in capsys.readouterr().err
