"""torch's recurrent networks behind the door: the equations, and the whole way through the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import references
import torch
from conftest import TINY, TINY_MUL, signal
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_resume import same
from torch.testing import assert_close

from ntm.models.rnn import KERNELS, RNN

SEQUENCES = {
    "copy": [word for word in TINY if not word.startswith("model.")],
    "repeat_copy": [
        "task=repeat_copy",
        "task.lengths=[1,2]",
        "task.val_lengths=[2]",
        "task.test_lengths=[2]",
        "task.probe_length=2",
    ],
    "binary_mul": TINY_MUL,
}
SMALL = {
    "rnn": ["model=rnn", "model.width=8"],
    "gru": ["model=gru", "model.width=8", "model.layers=2"],
    "lstm": ["model=lstm", "model.width=8"],
    "transformer": ["model=transformer", "model.width=8", "model.heads=2"],
}
BRIEF = ["trainer.batch_size=4", "trainer.val_sequences=2", "trainer.val_every=3", "trainer.save_every=3"]
PICTURES = {"rnn": "hidden", "gru": "hidden", "lstm": "hidden", "transformer": "attention"}


@pytest.mark.parametrize("kind", KERNELS)
def test_it_is_what_its_equations_say(kind):
    torch.manual_seed(0)
    model = RNN(kind, 3, 5, 1, 2).double()
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    weights = [p.detach().numpy() for p in model.recurrent.parameters()]
    output = model(inputs, record=True)
    W, b = (p.detach().numpy() for p in model.output.parameters())
    for row in range(2):
        hidden = getattr(references, kind)(inputs[row].numpy(), *weights)
        assert_close(signal(output, "hidden")[row].detach().numpy(), hidden)
        assert_close(output.logits[row].detach().numpy(), hidden @ W.T + b)


@pytest.mark.parametrize("kind", KERNELS)
def test_gradients_reach_every_parameter_and_are_right(kind):
    torch.manual_seed(0)
    model = RNN(kind, 2, 3, 2, 1).double()
    inputs = torch.randn(1, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (inputs,))
    model(inputs).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("task", SEQUENCES)
@pytest.mark.parametrize("model", SMALL)
def test_it_trains_resumes_is_evaluated_and_drawn(run, capsys, model, task):
    words = [*SEQUENCES[task], *SMALL[model], *BRIEF]
    run("train", *words, "trainer.max_steps=6", "run_dir=straight")
    assert np.isfinite([p.sum() for p in torch.load("straight/last.ckpt")["state_dict"].values()]).all()
    run("train", *words, "trainer.max_steps=4")
    run("train", *words, "resume=last", "trainer.max_steps=6")
    (resumed,) = Path("checkpoints", task).iterdir()
    assert same(Path("straight/last.ckpt"), resumed / "last.ckpt")
    run("evaluate", "run=straight", "lengths=[3,5]", "sequences=3", "json=table.json", "png=trace.png")
    table = json.loads(Path("table.json").read_text())
    assert table["model"]["name"] == ("transformer" if model == "transformer" else "rnn")
    assert [result["length"] for result in table["results"]] == [3, 5]
    assert Path("trace.png").stat().st_size > 1000
    with pytest.raises(SystemExit):
        run("evaluate", "run=straight", "room=9")
    assert "room=9: this model has no memory to give room to; allowed: auto" in capsys.readouterr().err
    images = EventAccumulator("straight", size_guidance={"images": 0}).Reload().Tags()["images"]
    assert {"images/trace", "images/inputs_targets_outputs_error", f"images/{PICTURES[model]}"} == set(images)


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize(
    "words", [["curriculum.noise=1"], ["curriculum.focus=1"], ["optimizer.addressing_rate=5"], ["model.slots=9"], ["model.width=0"]]
)
def test_what_it_has_not_is_refused(refused, model, words):
    assert words[0].partition("=")[0] in refused("train", "task=copy", *SMALL[model], *words)
