"""LitModel: one update of a model on a batch of its task, with the gradients checked before they are used."""

from typing import Any, NamedTuple

import lightning as L
import torch
from torch import Tensor
from torch.optim import Optimizer

from ntm.config import Config, build, plain
from ntm.models import Shown
from ntm.training.clipping import Clipped, clip_gradients
from ntm.training.curriculum import Progress, after_update, learning_rate
from ntm.training.data import Draw, Longer
from ntm.training.optimizers import OPTIMIZERS
from tasks import Score


class NonFiniteError(RuntimeError):
    """Training cannot go on: too many updates in a row had a loss or gradient that is not finite."""


class Skips(NamedTuple):
    """Updates that were not taken because of a non-finite loss or gradient."""

    total: int = 0
    in_a_row: int = 0
    offender: str = ""  # the first tensor that was not finite, at the latest skip


class Tally(NamedTuple):
    """One validation length's result."""

    length: int
    loss: float
    score: Score


class LitModel(L.LightningModule):
    """A model in training; its configuration is kept in every checkpoint as plain values."""

    def __init__(self, config: Config):
        super().__init__()
        self.automatic_optimization = False  # an update that is not finite is not taken, and only we know
        self.config, self.task = config, config.task
        self.model = build(config)
        self.progress = Progress()
        self.skips = Skips()
        self.solved_length = 0  # longest validation length without an error
        self.solved_in_a_row = 0  # validations
        self.tallies: list[Tally] = []

    def configure_optimizers(self) -> Optimizer:
        """The configured optimiser; every group of the model's has a rate of its own."""
        groups = self.model.groups()  # in order: a checkpoint knows moments by their place
        grouped = {id(p) for parameters in groups.values() for p in parameters}
        rest = [p for p in self.model.parameters() if id(p) not in grouped]
        recipe = self.config.optimizer
        return OPTIMIZERS[recipe.name]([{"params": part} for part in (rest, *groups.values())], lr=recipe.lr)

    def training_step(self, draw: Draw, index: int) -> dict[str, Any]:
        """One update by Lightning's clock, which counts the optimiser's steps."""
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list), "there is one optimiser"
        return self.update(draw, optimizer)

    def update(self, draw: Draw, optimizer: Any) -> dict[str, Any]:
        """Take an update, or skip it and touch neither weights nor moments where loss or gradients are not finite.

        Returns its loss, in the task's unit, and its bit error; raises NonFiniteError after `optimizer.max_skips` skips in a row.
        """
        recipe = self.config.optimizer
        rate = learning_rate(recipe, self.progress)
        for group, multiple in zip(optimizer.param_groups, (1.0, *(recipe.rates.get(name, 1.0) for name in self.model.groups()))):
            group["lr"] = rate * multiple
        noise = self.noise(draw.batch.inputs)
        loss, score = self.model.learn(self.task, draw.batch, self.config.trainer.mean_over, noise)
        optimizer.zero_grad()
        self.manual_backward(loss)
        clipped = clip_gradients(self.named_parameters(), loss, recipe.clip, recipe.clip_at)
        if clipped.offender is None:
            self.skips = self.skips._replace(in_a_row=0)
        else:
            optimizer.zero_grad()  # a step without gradients touches nothing
            self.skips = Skips(self.skips.total + 1, self.skips.in_a_row + 1, clipped.offender)
        optimizer.step()
        self.progress = after_update(self.config.curriculum, self.progress, draw.stage, score.error)
        if self.progress.updates % self.config.trainer.log_every == 0 or self.progress.updates == 1 or clipped.offender:
            self.log_update(loss, score, rate, clipped)
        if self.skips.in_a_row >= recipe.max_skips:
            raise NonFiniteError(
                f"update {self.progress.updates}: {self.skips.in_a_row} updates in a row were skipped, not finite: "
                f"{self.skips.offender}; try a smaller optimizer.lr (now {recipe.lr:g}) or optimizer.clip_at"
            )
        return {"loss": loss, "error": score.error}

    def noise(self, inputs: Tensor) -> Tensor | None:
        """Noise [B T K] of this update, a pure function of (seed, update), or None while there is none."""
        if not self.progress.noise:
            return None
        generator = torch.Generator().manual_seed((self.config.seed << 32) + self.progress.updates)
        drawn = torch.randn(*inputs.shape[:2], self.model.noise_width, generator=generator)
        return (drawn * self.progress.noise).to(inputs)

    def log_update(self, loss: Tensor, score: Score, rate: float, clipped: Clipped) -> None:
        """Scalars of one update, to every logger."""
        values = {
            "train/loss": loss.item(),
            "train/bit_error": score.error,
            "train/exact": 1 - score.wrong_sequences / len(score.due),
            "train/learning_rate": rate,
            "curriculum/stage": self.progress.stage,
            "curriculum/noise": self.progress.noise,
            "grad/norm": clipped.norm,
            "grad/clipped": clipped.fraction,
            "grad/skipped": self.skips.total,
        }
        for logger in self.loggers:
            logger.log_metrics(values, step=self.progress.updates)

    def validation_step(self, longer: Longer, index: int) -> None:
        """Score one validation length, with the room that it needs and no noise."""
        batch, room = longer.batch, self.model.room_for(self.task.room(longer.length))
        logits = self.model(batch.inputs, batch.ticks, room=room).logits
        loss = self.task.loss(logits, batch, "bits").item()
        self.tallies.append(Tally(longer.length, loss, self.task.score(logits, batch)))

    def on_validation_epoch_end(self) -> None:
        """Log every length; `val/selection` picks best.ckpt: fewest bit errors first, then the lower loss."""
        tallies, self.tallies = self.tallies, []
        errors = [tally.score.error for tally in tallies]
        loss, error = sum(tally.loss for tally in tallies) / len(tallies), sum(errors) / len(errors)
        exact = 1 - sum(t.score.wrong_sequences for t in tallies) / sum(len(t.score.due) for t in tallies)
        by_length = {f"length/{tally.length:04d}": e for tally, e in zip(tallies, errors)}
        means = {"val/loss": loss, "val/bit_error": error, "val/exact": exact}
        for logger in self.loggers:
            logger.log_metrics({**means, **by_length}, step=self.progress.updates)
        self.log("val/selection", error + 1e-3 * loss / (1 + loss), logger=False)
        self.solved_length = max((t.length for t, e in zip(tallies, errors) if e == 0), default=0)
        self.solved_in_a_row = self.solved_in_a_row + 1 if not any(errors) else 0
        if error <= self.config.curriculum.learned_below and self.progress.learned_at is None:
            self.progress = self.progress._replace(learned_at=self.progress.updates)
        config = self.config.trainer
        noise_done = self.progress.noise >= self.config.curriculum.noise
        if config.stop_when_solved and self.solved_in_a_row >= config.val_patience and noise_done:
            self.trainer.should_stop = True

    def show(self, seed: int) -> Shown:
        """One fixed validation sequence, run and recorded."""
        return self.model.show(self.task, "val", seed, self.task.probe_length)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the configuration and the run's counters, all plain values: such a file is safe to load."""
        checkpoint["ntm"] = {
            "config": plain(self.config),
            "progress": self.progress._asdict(),
            "skips": self.skips._asdict(),
            "updates": self.progress.updates,
            "solved": [self.solved_length, self.solved_in_a_row],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the counters up again."""
        saved = checkpoint["ntm"]
        self.progress, self.skips = Progress(**saved["progress"]), Skips(**saved["skips"])
        self.solved_length, self.solved_in_a_row = saved["solved"]
