"""Rounded machines: decisions that are looked up against the whole machine, rounded tick by tick; and the command."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_MUL, composed
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

from ntm.config import build, parse
from ntm.errors import UserError
from ntm.models import Recurrent
from ntm.models.machine import abreast
from ntm.models.machine.access import HeadsState, Start
from ntm.models.machine.controllers import FeedForward, RegisterState
from ntm.models.machine.machine import Machine
from ntm.models.machine.tape_heads import TapeHeads

INPUTS, OUTPUTS = 3, 2


@st.composite
def machines(draw):
    """A machine of random weights and of any shape, its room, and a seed for its inputs."""
    count, slots = draw(st.integers(1, 3)), draw(st.integers(3, 30))
    moves = draw(st.sampled_from([n for n in (1, 3, 5) if n <= slots]))
    memory, weights = draw(st.sampled_from(["constant", "learned", "random"])), draw(st.sampled_from(["onehot", "learned"]))
    torch.manual_seed(draw(st.integers(0, 1000)))
    heads = TapeHeads(
        5,
        draw(st.integers(1, 3)),
        moves,
        count,
        tuple(draw(st.lists(st.integers(-4, 4), min_size=1, max_size=3))),
        draw(st.sampled_from([None, (0,), (2, 1)])),
        separate=draw(st.booleans()),
        start=Start(max(3, slots - 2), memory, draw(st.sampled_from([1e-6, 0.7])), weights),
    )
    machine = Machine(FeedForward(INPUTS + heads.read_width, [5], draw(st.integers(0, 2))), heads)
    model = Recurrent(machine, OUTPUTS)
    for parameter in model.parameters():  # so large that much is decided, so small that some is not
        torch.nn.init.normal_(parameter, 0, draw(st.sampled_from([0.5, 2.0, 8.0])))
    return model, slots, draw(st.integers(0, 1000))


def rounded(access, at):
    """Heads and slots rounded: the heaviest slot, the first from where a head stood where several are as heavy."""
    weights = access.weights[0].numpy().astype(float)
    places = []
    for head, row in enumerate(weights):
        order = [(at[head] + step) % len(row) for step in range(len(row))]
        places.append(next(slot for slot in order if row[slot] >= row.max() * (1 - 1e-6)))
    where = F.one_hot(torch.tensor(places), weights.shape[1]).float()[None]
    return access._replace(memory=(access.memory > 0.5).float(), weights=where), places


def dense_run(model, inputs, slots):
    """The whole machine, rounded after every tick: logits [T O], register, places, memory, and how far it was from that."""
    machine = model.cell
    controller, access, _ = machine.initial_state(1, slots)
    access, places = rounded(access, [0] * machine.access.heads)
    access = HeadsState(access.memory, access.weights, access.weights)
    logits = []
    for x in inputs:
        state = machine.initial_state(1, slots)._replace(controller=controller, access=access, reads=machine.access.read(access))
        hidden, after, _ = machine(x[None], state)
        controller = RegisterState((after.controller.register > 0.5).float())
        access, places = rounded(after.access, places)
        logits.append(model.output(torch.cat([hidden[:, : machine.controller.width], machine.access.read(access)], -1))[0])
    return torch.stack(logits), controller.register[0], places, access.memory[0]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(machines())
def test_lookup_is_the_whole_machine_rounded_tick_by_tick(drawn):
    model, slots, seed = drawn
    inputs = torch.from_numpy(np.random.default_rng(seed).integers(0, 2, (2, 12, INPUTS))).float()
    discrete = model.discrete()
    with torch.no_grad():
        made = discrete(inputs, torch.tensor([12, 9]), room=slots)
        for row, ticks in enumerate((12, 9)):
            logits, register, places, memory = dense_run(model, inputs[row, :ticks], slots)
            torch.testing.assert_close(made.logits[row, :ticks], logits, rtol=1e-5, atol=1e-4)
            end = made.state[row]
            assert list(end.register) == register.tolist()
            assert end.at == places
            tapes = torch.tensor([[list(code) for code in tape] for tape in end.tapes])
            assert torch.equal(tapes.transpose(0, 1).flatten(1).float(), memory)
    assert discrete.figures()["combinations"] <= 21


@settings(max_examples=60, deadline=None, derandomize=True)
@given(machines(), st.integers(16, 40))
def test_many_rows_abreast_are_the_same_as_one_after_the_other(drawn, rows):
    model, slots, seed = drawn
    inputs = torch.from_numpy(np.random.default_rng(seed).choice([0, 1, -0.3], (rows, 20, INPUTS))).float()
    together, alone = model.discrete(), model.discrete()
    first = together(inputs[:, :12], room=slots)
    went_on = together(inputs[:, 12:], state=first.state)
    for row in range(rows):
        made = alone(inputs[row : row + 1], room=slots)
        logits = torch.cat([first.logits, went_on.logits], 1)[row, :11]  # at tick 11 it has not read on yet
        torch.testing.assert_close(logits, made.logits[0, :11], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(went_on.logits[row], made.logits[0, 12:], rtol=1e-5, atol=1e-4)
        assert went_on.state[row] == made.state[0]
    assert together.figures()["combinations"] == alone.figures()["combinations"]
    assert all(len({number for number, *_ in known.values()}) == len(known) for known in together.decisions.values())


@pytest.mark.parametrize("why", ["too few", "several lengths", "too many codes", "too long a key"])
def test_what_cannot_be_run_abreast_is_run_row_by_row(why, monkeypatch):
    model, task = model_of("task=binary_mul", "model=tape_pair" if why == "too long a key" else "model=tape")
    for parameter in model.parameters():  # so large that much is written
        torch.nn.init.normal_(parameter, 0, 0.7)
    inputs = task.batch(0, "test", 0, 2 if why == "too few" else 16, (3, 3)).inputs
    ticks = torch.full((len(inputs),), inputs.shape[1])
    if why == "several lengths":
        ticks[0] -= 1
    if why == "too many codes":
        monkeypatch.setattr(abreast, "CONTENTS", 1)
        monkeypatch.setattr(abreast, "MOST_BITS", abreast.AWAY + 5 * 2)
    made = model.discrete()(inputs, ticks, room=20)
    for row in range(len(inputs)):
        alone = model.discrete()(inputs[row : row + 1, : ticks[row]], room=20)
        torch.testing.assert_close(made.logits[row, : ticks[row]], alone.logits[0], rtol=1e-5, atol=1e-4)
        assert made.state[row] == alone.state[0]


def model_of(*words):
    config = parse(composed(*words))
    torch.manual_seed(0)
    return build(config), config.task


def test_long_sequences_and_other_rooms_share_decisions(monkeypatch):
    model, task = model_of("task=binary_mul", "model=tape")
    inputs = task.batch(0, "test", 0, 1, (8, 8)).inputs
    whole, pieces = model.discrete(), model.discrete()
    expected = whole(inputs, room=40)
    monkeypatch.setattr("ntm.models.machine.discrete.CHUNK", 7)
    made = pieces(inputs, room=40)
    assert torch.equal(made.logits, expected.logits)
    assert made.state == expected.state
    pieces(inputs, room=400)
    assert len(pieces.decisions) == 1
    assert pieces.figures()["combinations"] == whole.figures()["combinations"]


def test_it_goes_on_from_its_state():
    model, task = model_of("task=binary_mul", "model=tape")
    for parameter in model.parameters():  # so large that much is written
        torch.nn.init.normal_(parameter, 0, 0.7)
    batch = task.batch(0, "test", 0, 3, (5, 5))
    discrete = model.discrete()
    whole = discrete(batch.inputs, batch.ticks, room=30)
    before = discrete(batch.inputs[:, :31], room=30)
    kept = [(list(end.at), [list(tape) for tape in end.tapes]) for end in before.state]
    discrete(batch.inputs, batch.ticks, room=50)  # another room between them
    after = discrete(batch.inputs[:, 31:], state=before.state)
    assert torch.equal(torch.cat([before.logits, after.logits], 1), whole.logits)
    assert after.state == whole.state
    assert kept == [(end.at, end.tapes) for end in before.state]


@pytest.mark.parametrize("seed", range(6))
def test_a_machine_rounded_in_full_is_its_own_discrete_run(seed):
    model, task = model_of("task=binary_mul", "model=tape", "model.controller.register=3")
    torch.manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.7)
    assert not model.rounded
    model.round(0.5)
    assert not model.rounded
    model.round(1)
    assert model.rounded
    batch = task.batch(seed, "test", 0, 6, (6, 6))
    with torch.no_grad():
        dense, discrete = model.logits(batch, 40), model.discrete()
        torch.testing.assert_close(discrete.logits(batch, 40), dense, rtol=1e-3, atol=1e-3)
    assert discrete.figures()["furthest from rounded"] < 1e-5
    assert dense.std() > 0.1


@pytest.mark.parametrize(
    ("words", "its_own"),
    [
        (["model=tape"], True),
        (["model=tape", "model.memory_value=1"], True),
        (["model=tape", "model.memory_value=0.2"], False),
        (["model=tape", "model.memory_init=random"], False),
        (["model=tape", "model.weights_init=learned"], False),
        (["model=tape", "model.heads.count=2"], False),
        (["model=tape", "model.heads.count=2", "model.heads.separate=true"], True),
    ],
)
def test_which_rounded_machines_are(words, its_own):
    model, _ = model_of("task=binary_mul", "model=tape", *words)
    model.round(1)
    assert model.rounded == its_own


def test_a_crisp_machine_is_the_same_rounded():
    """Weights so large that nothing is between: the soft run is the rounded one."""
    model, task = model_of("task=binary_mul", "model=tape")
    heads = model.cell.access
    with torch.no_grad():
        for layer in (heads.writing, model.cell.controller.feedback):
            layer.weight.mul_(1e8)
            layer.bias.mul_(1e8)
        heads.addressing.weight.zero_()[0, 0] = 40  # home at the first flag, otherwise one slot on
        heads.addressing.bias.copy_(torch.tensor([-20.0, 20, -20, -20, 20]))
    batch = task.batch(0, "test", 0, 4, (6, 6))
    with torch.no_grad():
        torch.testing.assert_close(model.discrete().logits(batch, 40), model.logits(batch, 40), rtol=1e-3, atol=1e-3)


def test_the_command(run, tmp_path, capsys):
    words = [word for word in TINY if not word.startswith("model.")]
    run("train", *words, "model=tape", "model.slots=12", "trainer.max_steps=5", "run_dir=run")
    capsys.readouterr()
    run("evaluate", "run=run", "discrete=true", "lengths=[2,7]", "sequences=5", "room=30", "json=table.json", "png=trace.png")
    out = capsys.readouterr().out
    assert "combinations " in out
    assert "ticks a second " in out
    report = json.loads(Path("table.json").read_text())
    assert report["discrete"] is True
    assert report["figures"].keys() >= {"combinations", "slot contents", "register contents", "furthest from rounded"}
    assert report["figures"]["combinations"] > 1
    assert 0 < report["figures"]["least weight on a head's slot"] <= 1
    assert [r["length"] for r in report["results"]] == [2, 7]
    assert Path("trace.png").exists()


ROUNDED = [*TINY_MUL, "model=tape"]
ROUNDED += ["model.slots=12", "curriculum.stages=[]", "curriculum.noise=0", "curriculum.focus=0", "curriculum.rounding_updates=1"]
ROUNDED += ["curriculum.noise_below=1", "curriculum.noise_above=1", "trainer.batch_size=4", "trainer.val_sequences=4"]
ROUNDED += ["trainer.val_every=3", "trainer.max_steps=6", "curriculum.pruning_updates=0", "curriculum.proof=false"]


def test_auto_looks_up_what_is_rounded(run, capsys):
    run("train", *ROUNDED, "run_dir=rounded")
    run("train", *ROUNDED, "curriculum.rounding_updates=0", "run_dir=soft")
    made = {}
    for folder, words in itertools.product(("rounded", "soft"), ([], ["discrete=true"], ["discrete=false"])):
        capsys.readouterr()
        run("evaluate", f"run={folder}", *words, "lengths=[2,7]", "sequences=40", "json=table.json", "png=trace.png")
        made[folder, *words] = report = json.loads(Path("table.json").read_text())
        assert ("looked up" in capsys.readouterr().out) == report["discrete"] == bool(report["figures"])
        with Image.open("trace.png") as image:
            report["picture"] = image.height
    errors = {words: [(r["bit_errors"], r["wrong_sequences"]) for r in report["results"]] for words, report in made.items()}
    assert errors["rounded",] == errors["rounded", "discrete=true"] == errors["rounded", "discrete=false"] != [(0, 0), (0, 0)]
    assert [report["discrete"] for report in made.values()] == [True, True, False, False, True, False]
    assert errors["soft",] == errors["soft", "discrete=false"]
    assert made["rounded",]["picture"] == made["rounded", "discrete=false"]["picture"]  # with heads and memory
    assert made["rounded",]["picture"] > made["rounded", "discrete=true"]["picture"]


def test_the_command_refuses_what_cannot_be_rounded(run, trained, capsys):
    with pytest.raises(SystemExit) as ended:
        run("evaluate", f"run={trained}", "discrete=true")
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "discrete=true: this model" in error
    assert "allowed: false" in error


@pytest.mark.parametrize("choice", ["ntm", "ntm_lstm", "tape_lstm", "gru", "lstm", "transformer", "turing"])
def test_models_that_cannot_be_rounded(choice):
    model, _ = model_of(f"task={'turing' if choice == 'turing' else 'copy'}", f"model={choice}")
    with pytest.raises(UserError, match=r"discrete=true: .*; allowed: false"):
        model.discrete()
