"""LitModel: one update of a model on a batch of its task, checked before and after: what is not finite is never kept."""

import math
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.optim import Optimizer

from ntm.config import Config, build, plain, validate
from ntm.errors import UserError
from ntm.files import NotFiniteError
from ntm.models import Learned, Model, Shown
from ntm.training import curriculum, processes
from ntm.training.attempts import begin_anew, stuck
from ntm.training.clipping import Clipped, clip_gradients
from ntm.training.counters import Counters, Skips, Tally, as_plain, check_counters
from ntm.training.curriculum import Progress, after_update, finished, focus, in_use, learning_rate, rates, rounded_in_full, rounding
from ntm.training.data import Draw, Longer
from ntm.training.diagnosis import NonFiniteError, cause
from ntm.training.exhaustive import mistakes
from ntm.training.optimizers import OPTIMIZERS, check_moments, keep_within
from ntm.training.pruning import due, prune
from ntm.training.snapshot import Snapshot, miscounted, spoilt
from tasks import Score

Ask = Callable[[Model], bool]
"""What is asked of a model, or done with it, at a validation; whether it is well."""


class LitModel(L.LightningModule):
    """A model in training; its configuration is kept in every checkpoint as plain values."""

    def __init__(self, config: Config, proves: Ask = lambda model: True, hardens: Ask = lambda model: True):
        super().__init__()
        self.automatic_optimization = False  # an update that is not finite is not taken, and only we know
        self.config, self.task, self.proves, self.hardens = config, config.task, proves, hardens
        self.model = build(config)
        self.progress = Progress()
        self.skips = Skips()
        self.solved_length = 0  # longest validation length without an error
        self.solved_in_a_row = 0  # validations
        self.validated = 0  # update of the latest validation
        self.selection = math.nan  # score of the latest validation, by which best.ckpt is picked: the lower the better
        self.best: float | None = None  # score of best.ckpt
        self.tallies: list[Tally] = []
        self.moments: dict[int, Any] | None = None  # of a run that goes on, for its optimiser
        self.uncut: dict[str, Any] | None = None  # and what it was before its latest channel was cut
        self.kept: Snapshot  # what there was after the latest good update
        self.before: Snapshot  # and before the latest channel was cut
        self.configure_optimizers()

    def setup(self, stage: str) -> None:
        """Every process goes on from what the first one has, with as many threads as it was told: Lightning has set others."""
        if processes.several():
            self.take_up(self.trainer.strategy.broadcast(self.checkpoint()))
            torch.set_num_threads(self.config.trainer.threads)

    def configure_optimizers(self) -> Optimizer:
        """The configured optimiser; every group of the model's has a rate of its own."""
        self.named = list(self.model.named_parameters())
        groups = self.model.groups()  # in order: a checkpoint knows moments by their place
        grouped = {id(p) for parameters in groups.values() for p in parameters}
        rest = [p for p in self.model.parameters() if id(p) not in grouped]
        recipe = self.config.optimizer
        optimizer = OPTIMIZERS[recipe.name]([{"params": part} for part in (rest, *groups.values())], lr=recipe.lr)
        if self.moments is not None:
            optimizer.load_state_dict({**optimizer.state_dict(), "state": self.moments})
        self.kept = Snapshot(self.model, optimizer, self.progress)
        self.before = Snapshot(self.model, optimizer, self.progress)
        if self.uncut is not None:
            self.before.take(self.uncut)
        return optimizer

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
        rate = learning_rate(recipe, self.config.curriculum, self.progress)
        multiples = rates(recipe, self.config.curriculum, self.progress)
        for group, multiple in zip(optimizer.param_groups, (1.0, *(multiples.get(name, 1.0) for name in self.model.groups()))):
            group["lr"] = rate * multiple
        self.model.round(rounding(self.config.curriculum, self.progress))
        batch, noise, mean_over = draw.batch, self.noise(draw.batch.inputs), self.config.trainer.mean_over
        own_noise = None if noise is None else noise[processes.rows()]
        own = self.model.learn(self.task, processes.part(batch), mean_over, own_noise, focus(self.config.curriculum, self.progress))
        weight = processes.share(batch, mean_over)
        optimizer.zero_grad()
        self.manual_backward(processes.shared(own.loss * weight, self.model.parameters()))
        loss, score, blur = processes.together(own, weight, len(batch.ticks))
        clipped = clip_gradients(self.named, loss, recipe.clip, recipe.clip_at)
        offender = clipped.offender
        if offender is not None:
            offender = cause(self.model, self.kept.optimizer, batch, noise) or offender
            optimizer.zero_grad()  # a step without gradients touches nothing
        if miscounted(self.kept.optimizer):  # in this process; what it goes back to is what the others have
            self.undo(spoilt(self.model, self.kept.optimizer))
        optimizer.step()
        keep_within(dict(self.named), self.model.bounds())
        error = score.error if offender is None else math.nan  # a batch that taught nothing says nothing of the stage
        blurred = None if blur is None else blur.item()
        self.progress = after_update(self.config.curriculum, self.progress, draw.stage, error, blurred)
        self.keep(offender)
        skipped = self.skips.in_a_row > 0
        if stuck(self.config.curriculum.patience_updates, self.progress):
            self.progress = begin_anew(self.config, self.model, self.kept.optimizer, self.progress)
            self.kept.keep(self.kept.copy(), self.progress)
        elif not skipped and due(self.config.curriculum, self.progress):
            self.progress = prune(self.config, self.model, self.before, self.progress, self.noise)
            self.kept.keep(self.kept.copy(), self.progress)
        if self.progress.updates % self.config.trainer.log_every == 0 or self.progress.updates == 1 or skipped:
            self.log_update(loss, score, rate, clipped)
        if self.skips.in_a_row >= recipe.max_skips:
            raise NonFiniteError(
                f"update {self.progress.updates}: {self.skips.in_a_row} updates in a row were skipped, not finite: "
                f"{self.skips.offender}; try a smaller optimizer.lr (now {recipe.lr:g}) or optimizer.clip_at"
            )
        return {"loss": loss, "error": score.error}

    def keep(self, offender: str | None) -> None:
        """Keep what is there now, or, where it is not finite or there is an offender already, go back to what was kept before."""
        copy = self.kept.copy()
        if offender is None:
            found = self.kept.spoilt(copy)
            offender = None if found is None else f"{found}, after the update"
        offender = processes.agreed(offender, self.device)
        if offender is None:
            self.kept.keep(copy, self.progress)
            self.skips = self.skips._replace(in_a_row=0)
            return
        self.kept.restore()
        self.kept.progress = self.progress
        self.skips = Skips(self.skips.total + 1, self.skips.in_a_row + 1, offender)

    def back_to_whole(self) -> None:
        """Go back to what was kept: from the middle of an update, to the one before it."""
        self.kept.restore()
        self.progress = self.kept.progress

    def mend(self) -> None:
        """Before a validation or a checkpoint: go back where something has spoilt weights or moments since they were kept."""
        self.undo(processes.agreed(spoilt(self.model, self.kept.optimizer), self.device))

    def undo(self, offender: str | None) -> None:
        """Go back, between updates, where there is an offender: nothing but the offender is lost, and it is counted."""
        if offender is not None:
            self.kept.restore()
            self.skips = self.skips._replace(total=self.skips.total + 1, offender=offender)

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
            "curriculum/cut": self.progress.cut,
            "curriculum/attempt": 1 + len(self.progress.given_up),
            "curriculum/rounding": rounding(self.config.curriculum, self.progress),
            "grad/norm": clipped.norm,
            "grad/clipped": clipped.fraction,
            "grad/skipped": self.skips.total,
        }
        for logger in self.loggers:
            logger.log_metrics(values, step=self.progress.updates)

    def on_validation_start(self) -> None:
        """What is validated is sound, and rounded in full once it is on the way there; before, it is hardened where that is due."""
        self.mend()
        if curriculum.to_harden(self.config.curriculum, self.progress):
            if self.hardens(self.model):
                self.kept.keep(self.kept.copy(), self.progress._replace(rounding=1.0))
            self.back_to_whole()
        self.model.round(in_use(self.config.curriculum, self.progress))
        self.tallies = []

    def validation_step(self, longer: Longer, index: int) -> None:
        """Score one validation length, with the room that it needs and no noise."""
        batch, room = processes.part(longer.batch), self.model.room_for(self.task.room(longer.length))
        logits = self.model.logits(batch, room)
        own = Learned(self.task.loss(logits, batch, "bits"), self.task.score(logits, batch))
        loss, score, _ = processes.together(own, processes.share(longer.batch, "bits"), len(longer.batch.ticks))
        self.tallies.append(Tally(longer.length, loss.item(), score))

    def on_validation_epoch_end(self) -> None:
        """Log every length; `selection` picks best.ckpt: fewest bit errors first, then the lower loss."""
        self.mend()  # pictures come next
        tallies, self.tallies = self.tallies, []
        errors = [tally.score.error if math.isfinite(tally.loss) else 1.0 for tally in tallies]  # what is no number is no answer
        loss, error = sum(tally.loss for tally in tallies) / len(tallies), sum(errors) / len(errors)
        exact = 1 - sum(t.score.wrong_sequences for t in tallies) / sum(len(t.score.due) for t in tallies)
        means = {"val/loss": loss, "val/bit_error": error, "val/exact": exact}
        means |= {f"length/{tally.length:04d}": e for tally, e in zip(tallies, errors)}
        for logger in self.loggers:
            logger.log_metrics(means, step=self.progress.updates)
        self.validated = self.progress.updates
        unfinished = not rounded_in_full(self.config.curriculum, self.progress)
        asked = self.progress.rounding == 1 or not (unfinished or any(errors))  # before, training itself shows what is wrong
        found = mistakes(self.task, self.model) if asked else ()
        self.progress = self.kept.progress = self.progress._replace(mistakes=found)
        unsafe = any(errors) or unfinished or bool(found)
        # What is not rounded yet is no candidate, and what is right on everything always a better one.
        self.selection = error + 1e-3 * loss / (1 + loss) + unfinished + unsafe
        self.solved_length = max((t.length for t, e in zip(tallies, errors) if e == 0), default=0)
        self.solved_in_a_row = 0 if unsafe else self.solved_in_a_row + 1
        if error <= self.config.curriculum.learned_below and self.progress.learned_at is None:
            self.progress = self.kept.progress = self.progress._replace(learned_at=self.progress.updates)
        if self.solved and self.config.curriculum.proof and not self.proves(self.model):
            self.solved_in_a_row, self.selection = 0, self.selection + 0.5
            self.progress = self.kept.progress = self.progress._replace(unproved=True)
        if self.solved:
            self.trainer.should_stop = True

    @property
    def solved(self) -> bool:
        """Whether the latest validations, the last of them just now, were without an error for long enough to end the run."""
        config = self.config.trainer
        now = self.validated == self.progress.updates  # or noise that got to its full value since then would end a resumed run
        done = now and finished(self.config.curriculum, self.progress)
        return config.stop_when_solved and self.solved_in_a_row >= config.val_patience and done

    @property
    def owes_validation(self) -> bool:
        """Whether the present update is to be validated and has not been."""
        updates = self.progress.updates
        return updates > 0 and updates % self.config.trainer.val_every == 0 and self.validated != updates

    def show(self, seed: int) -> Shown:
        """One fixed validation sequence, run and recorded."""
        return self.model.show(self.task, "val", seed, self.task.probe_length)

    def sound(self) -> dict[str, Any]:
        """A checkpoint of nothing spoilt, for the one process that writes it; raises NotFiniteError where what was kept is, too."""
        self.undo(spoilt(self.model, self.kept.optimizer))
        offender = spoilt(self.model, self.kept.optimizer)
        if offender is not None:
            raise NotFiniteError(f"{offender}, and its copy too")
        return self.checkpoint()

    def checkpoint(self) -> dict[str, Any]:
        """What a run needs to go on exactly, in plain values and tensors: such a file is safe to load."""
        solved = (self.solved_length, self.solved_in_a_row)
        counters = Counters(self.progress.updates, self.progress, self.skips, solved, self.validated, self.best)
        return {
            "ntm": {"config": plain(self.config), **as_plain(counters)},
            "state_dict": self.state_dict(),
            "optimizer_states": [self.kept.optimizer.state_dict()],
            **({} if self.progress.cut_at is None else {"before": self.before.plain()}),
        }

    def take_up(self, checkpoint: dict[str, Any]) -> None:
        """Weights, moments and counters of a run that goes on; raises UserError where they are none of such a run."""
        saved = {key: value for key, value in checkpoint["ntm"].items() if key != "config"}
        counters: Counters = validate(Counters, saved, "ntm")
        check_counters(counters, self.config.curriculum)
        self.progress, self.skips = counters.progress, counters.skips
        self.solved_length, self.solved_in_a_row = counters.solved
        self.validated, self.best = counters.validated, counters.best
        self.load_state_dict(checkpoint["state_dict"])
        try:
            (moments,) = checkpoint["optimizer_states"]
            self.moments = moments["state"]
            self.uncut = None if self.progress.cut_at is None else checkpoint["before"]
            check_moments(self.configure_optimizers(), self.moments)
        except Exception:  # torch trips over whatever is in there
            name = self.config.optimizer.name
            raise UserError(
                f"it holds no moments of optimizer={name}; allowed: a checkpoint of a run that trained with it"
            ) from None
        offender = spoilt(self.model, self.kept.optimizer)
        if offender is not None:
            raise UserError(f"it cannot be gone on from: {offender}; allowed: a checkpoint of finite numbers")
