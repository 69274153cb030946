"""What test_injections.py injects: one number in one place of a run, for every model, and how the cause is to be named."""

from contextlib import contextmanager, nullcontext

import pytest
from conftest import TINY

from ntm.models import Model
from ntm.models.machine import addressing, memory
from ntm.models.machine.access import Access
from ntm.models.turing.compiler import shape_of

BESIDE = [word for word in TINY if not word.startswith("model.")] + ["task.lengths=[3,3]"]
SLOTS = ["model.slots=12", "model.slot_width=6"]
TURING = ["task=turing", "turing=binary_increment", "task.lengths=[3,3]", "task.val_lengths=[3,4]", "task.test_lengths=[3]"]
MODELS = {
    "ntm": [*BESIDE, *SLOTS, "model.controller.hidden=[16]"],
    "ntm_lstm": [*BESIDE, *SLOTS, "model.controller.width=16"],
    "tape": [*BESIDE, "model.slots=12", "model.controller.hidden=[16]"],
    "tape_pair": [*BESIDE, *SLOTS, "model.controller.hidden=[16]"],
    "tape_lstm": [*BESIDE, *SLOTS, "model.controller.width=16"],
    "rnn": [*BESIDE, "model.width=8"],
    "gru": [*BESIDE, "model.width=8"],
    "lstm": [*BESIDE, "model.width=8"],
    "transformer": [*BESIDE, "model.width=8", "model.heads=2"],
    "turing": [*TURING, *BESIDE[6:-1], "model.hidden=[16]"],
}
# The fused step has no memory and no weights that a test could reach into; what it does with the rest is in test_injections.py.
EVERY = ["trainer.stop_when_solved=false", "trainer.backend=eager"]
WORDS = {name: [*words, f"model={name}", *EVERY] for name, words in MODELS.items()}
MACHINES = ["ntm", "ntm_lstm", "tape", "tape_pair", "tape_lstm"]

PLACES = ["inputs", "targets", "loss", "gradient", "weight", "moment", "memory", "weights", "hidden"]

FIRST_BY_MODEL = {  # the first signal that is seen to be spoilt at tick 3
    "ntm": {"memory": "memory", "weights": "write weights, head 0"},
    "ntm_lstm": {"memory": "memory", "weights": "write weights, head 0"},
    "tape": {"memory": "memory", "weights": "read weights, head 0"},
    "tape_pair": {"memory": "memory", "weights": "read weights, head 1"},
    "tape_lstm": {"memory": "memory", "weights": "read weights, head 0"},
    "transformer": {"hidden": "attention, layer 1, head 0"},
}


def expected(name: str, place: str, model: Model) -> str | None:
    """How the cause is to be named; None where the model has no such place."""
    (first, _), *_, (last, _) = model.named_parameters()
    simple = {"inputs": "inputs of the batch", "targets": "targets of the batch", "loss": "loss", "weight": f"weight {first}"}
    simple |= {"gradient": f"gradient of {last}", "moment": f"exp_avg_sq {last}, after the update"}
    if place in simple:
        return simple[place]
    if name == "turing":
        return "logits" if place == "hidden" else None
    inside = FIRST_BY_MODEL.get(name, {"hidden": "hidden vector of the last layer"})
    return f"{inside[place]} at tick 3" if place in inside else None


def with_one(tensor, place, value):
    """A copy in which one number is another."""
    copy = tensor.clone()
    copy[place] = value
    return copy


@contextmanager
def at_tick_3(owner, name, row, value):
    """One number of what a function returns at tick 3 of every run of the model."""
    function, patch, calls = getattr(owner, name), pytest.MonkeyPatch(), []
    begin = Access.initial_state

    def spoiling(*given):
        calls.append(None)
        made = function(*given)
        return with_one(made, row, value) if len(calls) == 4 else made

    with patch.context() as within:
        within.setattr(owner, name, spoiling)
        within.setattr(Access, "initial_state", lambda *given: (calls.clear(), begin(*given))[1])
        yield


def spoil(place, lit, draw, value):
    """Spoil one number in one place: the batch that is learned instead, and what is to be undone after the update."""
    (_, first), *_, (_, last) = lit.model.named_parameters()
    batch, undo = draw.batch, nullcontext()
    if place in ("inputs", "targets"):
        batch = batch._replace(**{place: with_one(getattr(batch, place), (1, 2, 0), value)})
    elif place == "loss":
        undo = patched(lit.model, "learn", lambda made: made._replace(loss=made.loss * value))
    elif place == "gradient":
        undo = removed(last.register_hook(lambda gradient: with_one(gradient, 0, value)))
    elif place == "weight":
        first.data.view(-1)[0] = value
    elif place == "moment":
        lit.kept.optimizer.state[last]["exp_avg_sq"].view(-1)[0] = value
    elif place == "memory":
        undo = at_tick_3(memory, "add", (-1, 1, 2), value)
    elif place == "weights":
        undo = at_tick_3(addressing, "sharpen", (-1, -1, 2), value)
    else:
        layer = lit.model
        layer = shape_of(layer.machine).controller.layers if hasattr(layer, "machine") else layer
        layer = layer.blocks[0] if hasattr(layer, "blocks") else getattr(layer, "recurrent", layer)
        undo = removed(layer.register_forward_hook(lambda _, given, made: spoilt_hidden(made, value)))
    return draw._replace(batch=batch), undo


def spoilt_hidden(made, value):
    return (with_one(made[0], (-1, 3, 0), value), made[1]) if isinstance(made, tuple) else with_one(made, (-1, 3, 0), value)


@contextmanager
def removed(handle):
    yield
    handle.remove()


@contextmanager
def patched(owner, name, change):
    function, patch = getattr(owner, name), pytest.MonkeyPatch()
    with patch.context() as within:
        within.setattr(owner, name, lambda *given: change(function(*given)))
        yield
