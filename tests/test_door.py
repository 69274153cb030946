"""What every model behind the door keeps to, whoever it is; and what the door lets in: real numbers, a model of one method."""

import copy
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from conftest import composed
from pydantic.dataclasses import dataclass
from torch import nn
from torch.testing import assert_close

from ntm.config import build, parse, plain
from ntm.errors import UserError
from ntm.models import MODELS, Model, Output
from ntm.training.data import Draw
from ntm.training.module import LitModel
from ntm.views.render import pictures, task_panels
from ntm.words import CONFIG_DIR
from tasks import TASKS, Batch, Score, Task
from tasks.fields import STRICT

CHOICES = sorted(path.stem for path in (CONFIG_DIR / "model").glob("*.yaml"))
SEQUENCES = sorted(TASKS.keys() - {"turing"})


def config_of(*words):
    return parse(composed(*words))


@pytest.fixture(params=CHOICES)
def guest(request):
    """A freshly built model of every choice, its task, and a batch of rows of different lengths."""
    task = "turing" if request.param == "turing" else "copy"
    config = config_of(f"task={task}", f"model={request.param}")
    torch.manual_seed(0)
    model = build(config)
    return model.eval(), config.task, config.task.batch(0, "val", 0, 4, (1, 4))


def test_every_row_of_the_table_has_a_choice():
    assert {composed(f"model={choice}")["model"]["name"] for choice in CHOICES} == set(MODELS)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_configuration_is_plain_and_comes_back(choice):
    config = config_of(f"task={'turing' if choice == 'turing' else 'copy'}", f"model={choice}")
    assert plain(parse(plain(config))) == plain(config)
    assert parse(plain(config)).model == config.model
    assert config.model.about


def test_logits_for_every_tick_and_output(guest):
    model, task, batch = guest
    output = model(batch.inputs, batch.ticks)
    assert output.logits.shape == batch.targets.shape
    assert output.signals == ()
    assert 0 <= task.score(output.logits, batch).error <= 1


def test_recording_changes_nothing_and_shows_every_tick(guest):
    model, task, batch = guest
    plain_logits, recorded = model(batch.inputs, batch.ticks).logits, model.show(task, "val", 0, 3)
    assert_close(model(batch.inputs, batch.ticks, record=True).logits, plain_logits)  # by the loop, and maybe by the fused step
    ticks = recorded.batch.inputs.shape[1]
    assert recorded.output.signals
    for signal in model(batch.inputs, batch.ticks, record=True).signals if task.claim != "trace" else ():
        assert signal.values.shape[:2] == batch.inputs.shape[:2]
    for signal in recorded.output.signals:
        assert signal.values.shape[:2] == (1, ticks if signal.ticks is None else 2)  # of a table what is drawn: two ticks
        assert signal.values.dim() == (3 if signal.columns is None else 4)
        assert not signal.weighting or torch.allclose(signal.values.sum(-1), torch.ones(1, ticks), atol=1e-5)
    drawn = pictures(task, recorded.batch, recorded.output)
    assert {"trace", "inputs_targets_outputs_error"} < drawn.keys()
    assert {s.picture for s in recorded.output.signals if s.columns is None} <= drawn.keys()
    if task.claim != "trace":  # those are shown running free
        assert recorded.line == task.show(recorded.batch.inputs[0], (recorded.output.logits[0] > 0).float())


def test_what_comes_after_the_end_changes_no_answer(guest):
    model, _, batch = guest
    model, batch = model.double(), Batch(*(part.double() for part in batch[:3]), batch.ticks)  # NALU's exp(18) magnifies rounding
    longer = Batch(*(torch.cat([part, torch.zeros_like(part[:, :3])], 1) for part in batch[:3]), batch.ticks)
    assert_close(model(longer.inputs, longer.ticks).logits[:, :-3], model(batch.inputs, batch.ticks).logits)


def test_rows_do_not_know_of_each_other(guest):
    model, _, batch = guest
    together = model(batch.inputs, batch.ticks).logits
    alone = [model(batch.inputs[b : b + 1], batch.ticks[b : b + 1]).logits for b in range(4)]
    due = (torch.arange(together.shape[1]) < batch.ticks[:, None])[..., None]  # after its end a row may say anything
    assert_close(together * due, torch.cat(alone) * due, atol=1e-5, rtol=1e-4)


def test_who_has_a_state_goes_on_from_it(guest):
    model, _, batch = guest
    first = model(batch.inputs[:, :2], None)
    if first.state is None:
        return
    second = model(batch.inputs[:, 2:], None, state=first.state)
    assert_close(torch.cat([first.logits, second.logits], 1), model(batch.inputs, batch.ticks).logits)


def test_copies_are_the_same_and_double_precision_works(guest):
    model, _, batch = guest
    logits = model(batch.inputs, batch.ticks).logits
    assert torch.equal(copy.deepcopy(model)(batch.inputs, batch.ticks).logits, logits)
    double = copy.deepcopy(model).double()(batch.inputs.double(), batch.ticks).logits
    assert double.dtype == torch.float64
    assert_close(double.float(), logits, atol=1e-4, rtol=1e-3)


def test_noise_of_the_width_that_is_said_and_none_else(guest):
    model, _, batch = guest
    if not model.noise_width:
        return
    noise = torch.randn(*batch.inputs.shape[:2], model.noise_width)
    quiet, loud = (model(batch.inputs, batch.ticks, noise=scale * noise).logits for scale in (0.0, 3.0))
    assert torch.equal(quiet, model(batch.inputs, batch.ticks).logits)
    assert not torch.equal(quiet, loud)


def test_groups_are_parameters_of_the_model(guest):
    model, _, _ = guest
    mine = {id(p) for p in model.parameters()}
    listed = [id(p) for parameters in model.groups().values() for p in parameters]
    assert len(listed) == len(set(listed))
    assert set(listed) <= mine


@pytest.mark.parametrize("task", SEQUENCES)
@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice != "turing"])
def test_every_model_takes_every_sequence_task(task, choice):
    config = config_of(f"task={task}", f"model={choice}")
    torch.manual_seed(0)
    if not config.task.control and getattr(getattr(config.model, "heads", None), "address_from", None) == "control":
        with pytest.raises(UserError, match=r"address_from=control: this task has no input channels with flags; allowed: hidden"):
            build(config)
        return
    model = build(config)
    loss, score, _ = model.learn(config.task, config.task.batch(0, "train", 0, 2, (2, 2)), "bits")
    loss.backward()
    assert torch.isfinite(loss)
    if type(config.task).loss is Task.loss and choice != "nalu":  # that one divides, also by bits that are 0
        assert 0.5 < loss.item() < 2  # fresh, it knows nothing: about a bit a bit
    assert len(score.due) == 2
    assert model.examine(config.task, 0, 0, 3, 2).due.shape == (3,)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["model.controller.register=0", "curriculum.noise=2"],
            "curriculum.noise=2: this model has no gates to take noise; allowed: 0",
        ),
        (["curriculum.focus=1"], "curriculum.focus=1: grows with curriculum.noise, which is 0; allowed: 0"),
        (
            ["model=turing", "task=turing", "curriculum.focus=2"],
            "curriculum.focus=2: this model has no heads to focus; allowed: 0",
        ),
        (["model=lstm", "optimizer.addressing_rate=5"], "optimizer.addressing_rate=5: this model has no parameters of that group"),
        (["model=turing"], "model=turing: this task has no state table; allowed: with task=turing"),
    ],
)
def test_a_recipe_that_does_not_fit_the_model_is_refused(words, line):
    with pytest.raises(UserError) as told:
        build(config_of("task=copy", *words))
    assert str(told.value).startswith(line)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_pair_without_a_recipe_gets_the_neutral_one(choice):
    """Whatever another model's rates are: a recipe is found by the names of both, or is neutral."""
    neutral = {key: value for key, value in composed("recipe=neutral").items() if key in ("optimizer", "curriculum")}
    for task in TASKS:
        values = composed(f"task={task}", f"model={choice}")
        if (CONFIG_DIR / f"recipe/{task}_{choice}.yaml").exists():
            assert values["recipe"] == f"{task}_{choice}"
        else:
            assert values["recipe"] == "neutral"
            assert {key: values[key] for key in neutral} == neutral


@dataclass(frozen=True, config=STRICT)
class Doubling(Task):
    """Real numbers in, twice as much out; right within a tolerance."""

    tolerance: float = 0.1
    inputs = outputs = 1
    softly: ClassVar[str] = "number"

    def sequence(self, random, length, split):
        x = random.uniform(-1, 1, (length, 1))
        return x, 2 * x, np.ones(length)

    def loss(self, logits, batch, mean_over):
        return ((logits - batch.targets).square() * batch.mask[..., None]).sum() / batch.mask.sum()

    def answer(self, logits):
        return logits

    def soft(self, logits):
        return logits

    def score(self, logits, batch):
        wrong = ((logits - batch.targets).abs() > self.tolerance) & (batch.mask[..., None] > 0)
        return Score(wrong.sum((1, 2)), batch.mask.sum(1))


class Affine(Model):
    """The least that a model is: one method; here with a group that no key knows, which learns like the rest."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False):
        return Output(self.layer(inputs))

    def groups(self):
        return {"mine": [self.layer.bias]}


def test_real_numbers_with_a_tolerance_are_learned_by_the_least_of_models(monkeypatch):
    monkeypatch.setattr(LitModel, "manual_backward", lambda self, loss: loss.backward())
    torch.manual_seed(0)
    lit = LitModel(config_of("task=copy", "optimizer.lr=0.1"))
    task = Doubling()
    lit.task, lit.model, lit.config = task, Affine(), lit.config._replace(task=task)
    optimizer = lit.configure_optimizers()
    errors = [lit.update(Draw(task.batch(0, "train", n, 16), 0), optimizer)["error"] for n in range(100)]
    assert errors[0] > 0.5
    assert errors[-1] == 0
    assert lit.model.layer.weight.item() == pytest.approx(2, abs=0.1)
    assert lit.model.examine(task, 0, 0, 8, 50).errors.sum() == 0
    assert lit.model.examine(replace(task, tolerance=0.0), 0, 0, 8, 50).wrong_sequences == 8
    batch, output, line = lit.show(1)
    assert "trace" in pictures(task, batch, output)
    _, targets, outputs, error = task_panels(task, batch, output.logits)
    assert (targets.low, targets.high) == (outputs.low, outputs.high) == (batch.targets.min(), batch.targets.max().clamp(min=1))
    assert outputs.title == "outputs (number)"
    assert error.values.max() < 0.1
    assert " -> " in line
