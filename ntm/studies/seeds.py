"""python -m ntm.studies.seeds <words of ntm.train> seeds=10 run_dir=<folder>: many seeds of a small model, trained as one batch.

Each parameter has one more dimension, S seeds, and one update is one of all of them (torch.func): what is too small to keep a
core busy alone costs little more a hundred times. Every seed sees its own batches and has the weights that it has alone.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ntm import ends, files, runs
from ntm.command import defaults, fail
from ntm.config import Config, build, plain, validate
from ntm.errors import UserError
from ntm.models import Model
from ntm.train import parsed
from ntm.training.curriculum import Progress, focus
from ntm.training.module import LitModel
from ntm.training.optimizers import OPTIMIZERS, keep_within
from tasks import Batch
from tasks.fields import Many

EVERY = 5.0
"""Seconds between two lines about how far it is."""


class Lesson(nn.Module):
    """What training minimises, as a module."""

    def __init__(self, config: Config, model: Model):
        super().__init__()
        self.config, self.model = config, model

    def forward(self, batch: Batch, weight: float) -> Tensor:
        """Its loss on a batch, a scalar; `weight` is that of the penalty on soft choices."""
        return self.model.learn(self.config.task, batch, self.config.trainer.mean_over, None, weight).loss


class Trained(NamedTuple):
    """The best of one seed, by its loss on validation sequences."""

    seed: int
    weights: dict[str, Tensor]
    updates: int  # that these weights have behind them


def check(config: Config) -> None:
    """Raise UserError where a recipe or a model does what depends on how a run goes: then seeds would part."""
    if not config.model.together:
        name = plain(config)["model"]["name"]
        raise UserError(f"model={name} ({config.model.about}): its seeds cannot be trained together; allowed: one by one")
    curriculum, optimizer, trainer = config.curriculum, config.optimizer, config.trainer
    wanted = {
        "curriculum.stages": (list(curriculum.stages), []),
        "curriculum.noise": (curriculum.noise, 0.0),
        "curriculum.rounding_from": (curriculum.rounding_from, 0.0),
        "curriculum.patience_updates": (curriculum.patience_updates, 0),
        "curriculum.warmup": (curriculum.warmup, None),
        "optimizer.lr_floor": (optimizer.lr_floor, optimizer.lr),
        "optimizer.addressing_rate": (optimizer.addressing_rate, 1.0),
        "optimizer.clip": (optimizer.clip, "norm"),
        "trainer.stop_when_solved": (trainer.stop_when_solved, False),
    }
    for key, (value, needed) in wanted.items():
        if value != needed:
            raise UserError(f"{key}={value}: seeds that are trained together cannot have it; allowed: {needed}")


def together(config: Config, seeds: Sequence[int], say: Callable[[int], None]) -> list[Trained]:
    """Train every seed for `trainer.max_steps` updates; `say` is told how many are made. Each is validated at `trainer.val_every`.

    A seed whose update is not finite stays as it was before it, and is not trained on.
    """
    check(config)
    lesson = Lesson(config, build(config))
    fresh = []
    for seed in seeds:
        torch.manual_seed(seed)
        fresh.append(build(config).state_dict())
    stacked = {f"model.{name}": nn.Parameter(torch.stack([each[name] for each in fresh])) for name in fresh[0]}
    bounds = {f"model.{name}": held for name, held in lesson.model.bounds().items()}
    optimizer = OPTIMIZERS[config.optimizer.name](list(stacked.values()), lr=config.optimizer.lr)
    losses = vmap(lambda weights, batch, weight: functional_call(lesson, weights, (batch, weight)), (0, 0, None))
    length = config.task.val_lengths[0]
    shown = config.task.batches(seeds, "val", 0, config.trainer.val_sequences, (length, length))  # they pick a seed's best weights
    best = {name: value.detach().clone() for name, value in stacked.items()}
    least = torch.full((len(seeds),), float("inf"))
    updates, at_best = torch.zeros(2, len(seeds), dtype=torch.long)
    alive = torch.ones(len(seeds), dtype=torch.bool)
    for update in range(config.trainer.max_steps):
        batch = config.task.batches(seeds, "train", update, config.trainer.batch_size)
        optimizer.zero_grad()
        loss = losses(stacked, batch, focus(config.curriculum, Progress(updates=update)))
        loss.sum().backward()
        norms = clip(stacked, config.optimizer.clip_at)
        alive &= loss.detach().isfinite() & norms.isfinite()
        dead = ~alive
        kept = {name: value.detach()[dead].clone() for name, value in stacked.items()} if dead.any() else {}
        optimizer.step()
        keep_within(stacked, bounds)
        with torch.no_grad():
            for name, value in kept.items():
                stacked[name][dead] = value
        updates += alive
        if (update + 1) % config.trainer.val_every == 0 or update + 1 == config.trainer.max_steps:
            with torch.no_grad():
                now = losses(stacked, shown, 0.0)
                better = now < least
                least[better], at_best[better] = now[better], updates[better]
                for name, value in stacked.items():
                    best[name][better] = value[better]
        say(update + 1)
    return [
        Trained(seed, {name.removeprefix("model."): value[n].clone() for name, value in best.items()}, int(at_best[n]))
        for n, seed in enumerate(seeds)
    ]


def clip(stacked: dict[str, nn.Parameter], limit: float) -> Tensor:
    """Clip each seed's gradients by their common norm, in place; returns the norms [S] from before."""
    gradients = [value.grad for value in stacked.values() if value.grad is not None]
    norms = torch.linalg.vector_norm(torch.cat([gradient.flatten(1) for gradient in gradients], 1), dim=1)
    scales = (limit / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scales.view(-1, *[1] * (gradient.dim() - 1)))
    return norms


def save(config: Config, trained: Trained, folder: Path) -> None:
    """A run as any other: its checkpoint and its configuration."""
    own = config._replace(seed=trained.seed)
    module = LitModel(own)
    module.model.load_state_dict(trained.weights)
    module.progress = Progress(updates=trained.updates)
    folder.mkdir(parents=True, exist_ok=True)
    runs.save_config(folder, plain(own))
    files.save(folder / runs.BEST, module.checkpoint())


def main() -> None:
    """The command; a mistake gets one line and exit code 2."""
    try:
        run(sys.argv[1:])
    except UserError as error:
        fail("studies.seeds", str(error))


def run(words: list[str]) -> None:
    """Train and save: each seed in a folder of its own below run_dir."""
    given = {key: value for key, _, value in (word.partition("=") for word in words)}
    count, folder = validate(Many, int(given["seeds"]), "seeds"), Path(given["run_dir"])
    rest = [word for word in words if not word.startswith(("seeds=", "run_dir="))]
    config = parsed(defaults("train", rest))
    torch.set_num_threads(config.trainer.threads)
    begun = told = time.monotonic()

    def say(made: int) -> None:
        nonlocal told
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            print(f"{made}/{config.trainer.max_steps} updates of {count} seeds, {told - begun:.0f} s", flush=True)

    for trained in together(config, range(count), say):
        save(config, trained, folder / f"seed-{trained.seed}")


if __name__ == "__main__":
    ends.leave_at_once("studies.seeds")
    main()
