"""LitMachine: one update of a machine on a batch of its task, with the gradients checked before they are used."""

from typing import Any, NamedTuple

import lightning as L
import torch
from torch import Tensor
from torch.optim import Optimizer

from ntm.clipping import clip_gradients
from ntm.config import Config, auto_slots, build_machine
from ntm.curriculum import Progress, advance, learning_rate
from ntm.data import Draw, Longer
from ntm.losses import LOSSES, masked_bits
from ntm.machine import Output
from ntm.optimizers import OPTIMIZERS
from tasks import Batch, Score


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


class LitMachine(L.LightningModule):
    """A machine in training. `raw` is the configuration as plain values, kept in every checkpoint."""

    def __init__(self, config: Config, raw: dict[str, Any]):
        super().__init__()
        self.config, self.raw, self.task = config, raw, config.task
        self.machine = build_machine(config.machine, config.task)
        self.loss = LOSSES[config.trainer.mean_over]
        self.progress = Progress()
        self.skips = Skips()
        self.updates = 0
        self.solved_length = 0  # longest validation length without an error
        self.solved_in_a_row = 0  # validations
        self.latest = Score(torch.zeros(1), torch.ones(1))  # of the update now being made
        self.stage = 0
        self.tallies: list[Tally] = []

    def configure_optimizers(self) -> Optimizer:
        """The configured optimiser; the layer that moves the heads is a group of its own."""
        moving = list(self.machine.heads.addressing.parameters())  # in order: a checkpoint knows moments by their place
        ids = {id(p) for p in moving}
        others = [p for p in self.machine.parameters() if id(p) not in ids]
        groups = [{"params": others}, {"params": moving}]
        return OPTIMIZERS[self.config.optimizer.name](groups, lr=self.config.optimizer.lr)

    def training_step(self, draw: Draw, index: int) -> Tensor:
        """Loss in bits per output bit, under the curriculum's noise."""
        output = self.machine(draw.batch.inputs, noise=self.noise(draw.batch.inputs))
        self.latest, self.stage = self.task.score(output.logits.detach(), draw.batch), draw.stage
        return self.loss(output.logits, draw.batch)

    def noise(self, inputs: Tensor) -> Tensor | None:
        """Noise [B T K] of this update, a pure function of (seed, update), or None while there is none."""
        if not self.progress.noise:
            return None
        generator = torch.Generator().manual_seed((self.config.seed << 32) + self.updates)
        width = self.machine.controller.register + self.machine.heads.noise_width
        drawn = torch.randn(*inputs.shape[:2], width, generator=generator)
        return (drawn * self.progress.noise).to(inputs)

    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None) -> None:
        """Take the update, or skip it and touch neither weights nor moments where something is not finite.

        Raises NonFiniteError after `optimizer.max_skips` skips in a row.
        """
        recipe = self.config.optimizer
        rate = learning_rate(recipe, self.progress, self.updates)
        for group, multiple in zip(optimizer.param_groups, (1.0, recipe.addressing_rate)):
            group["lr"] = rate * multiple
        loss = optimizer_closure()
        clipped = clip_gradients(self.named_parameters(), loss, recipe.clip, recipe.clip_at)
        if clipped.offender is None:
            optimizer.step()
            self.skips = self.skips._replace(in_a_row=0)
        else:
            optimizer.zero_grad()
            self.skips = Skips(self.skips.total + 1, self.skips.in_a_row + 1, clipped.offender)
        self.updates += 1
        self.progress = advance(self.config.curriculum, self.progress, self.stage, self.latest.bit_error)
        if self.updates % self.config.trainer.log_every == 0 or self.updates == 1 or clipped.offender:
            self.log_update(loss, rate, clipped.norm, clipped.fraction)
        if self.skips.in_a_row >= recipe.max_skips:
            raise NonFiniteError(
                f"update {self.updates}: {self.skips.in_a_row} updates in a row were skipped, not finite: "
                f"{self.skips.offender}; try a smaller optimizer.lr (now {recipe.lr:g}) or optimizer.clip_at"
            )

    def log_update(self, loss: Tensor, rate: float, norm: float, clipped: float) -> None:
        """Scalars of one update, to every logger."""
        score = self.latest
        values = {
            "train/loss": loss.item(),
            "train/bit_error": score.bit_error,
            "train/exact": 1 - score.wrong_sequences / len(score.bits),
            "train/learning_rate": rate,
            "curriculum/stage": self.progress.stage,
            "curriculum/noise": self.progress.noise,
            "grad/norm": norm,
            "grad/clipped": clipped,
            "grad/skipped": self.skips.total,
        }
        for logger in self.loggers:
            logger.log_metrics(values, step=self.updates)

    def validation_step(self, longer: Longer, index: int) -> None:
        """Score one validation length, with as many slots as it needs and no noise."""
        logits = self.machine(longer.batch.inputs, slots=auto_slots(self.machine, self.task, longer.length)).logits
        score = self.task.score(logits, longer.batch)
        self.tallies.append(Tally(longer.length, masked_bits(logits, longer.batch).item(), score))

    def on_validation_epoch_end(self) -> None:
        """Log every length; `val/selection` picks best.ckpt: fewest bit errors first, then the lower loss."""
        tallies, self.tallies = self.tallies, []
        errors = [tally.score.bit_error for tally in tallies]
        loss, error = sum(tally.loss for tally in tallies) / len(tallies), sum(errors) / len(errors)
        exact = 1 - sum(t.score.wrong_sequences for t in tallies) / sum(len(t.score.bits) for t in tallies)
        by_length = {f"length/{tally.length:04d}": e for tally, e in zip(tallies, errors)}
        means = {"val/loss": loss, "val/bit_error": error, "val/exact": exact}
        for logger in self.loggers:
            logger.log_metrics({**means, **by_length}, step=self.updates)
        self.log("val/selection", error + 1e-3 * loss / (1 + loss), logger=False)
        self.solved_length = max((t.length for t, e in zip(tallies, errors) if e == 0), default=0)
        self.solved_in_a_row = self.solved_in_a_row + 1 if not any(errors) else 0
        if error <= self.config.curriculum.learned_below and self.progress.learned_at is None:
            self.progress = self.progress._replace(learned_at=self.updates)
        config = self.config.trainer
        noise_done = self.progress.noise >= self.config.curriculum.noise
        if config.stop_when_solved and self.solved_in_a_row >= config.val_patience and noise_done:
            self.trainer.should_stop = True

    def probe(self, seed: int) -> tuple[Batch, Output, str]:
        """One fixed sequence of the task, run and recorded, and a line that tells what the machine made of it."""
        task, length = self.task, self.task.probe_length
        batch = task.batch(seed, "val", 0, 1, (length, length)).to(self.device)
        with torch.no_grad():
            output = self.machine(batch.inputs, slots=auto_slots(self.machine, task, length), record=True)
        return batch, output, task.show(batch.inputs[0], (output.logits[0] > 0).float())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the configuration and the run's counters, all plain values: such a file is safe to load."""
        checkpoint["ntm"] = {
            "config": self.raw,
            "progress": list(self.progress),
            "skips": list(self.skips),
            "updates": self.updates,
            "solved": [self.solved_length, self.solved_in_a_row],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the counters up again."""
        saved = checkpoint["ntm"]
        self.progress, self.skips = Progress(*saved["progress"]), Skips(*saved["skips"])
        self.updates = saved["updates"]
        self.solved_length, self.solved_in_a_row = saved["solved"]
