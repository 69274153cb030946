"""What watches a run: pictures and scalars of a probe sequence for TensorBoard, and the progress bar."""

import time
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard.summary import Summary

from ntm.models import Signal
from ntm.training.module import LitModel, NonFiniteError
from ntm.views.lines import tell
from ntm.views.render import as_png, pictures

PROBE_SEED = 2014
"""Seed of the probe sequence: the same for ever, so that TensorBoard's slider shows one sequence being learned."""


class Probe(L.Callback):
    """After the first update and at every validation, run one fixed sequence, recorded, and log what happened in it."""

    def on_train_start(self, trainer: L.Trainer, module: LitModel) -> None:
        """Lay the scalars out in TensorBoard's custom-scalars tab."""
        self.told = module.skips.total
        lengths = [f"length/{n:04d}" for n in module.task.val_lengths]
        layout = {
            "learning": {
                "loss, bits per output bit": ["Multiline", ["train/loss", "val/loss"]],
                "bit error": ["Multiline", ["train/bit_error", "val/bit_error"]],
                "exact sequences": ["Multiline", ["train/exact", "val/exact"]],
                "bit error by length": ["Multiline", lengths],
                "curriculum": ["Multiline", ["curriculum/stage", "curriculum/noise", "curriculum/attempt"]],
            },
            "memory": {
                "entropy of weightings, bits": ["Multiline", ["entropy/.*"]],
                "sharpness of weightings": ["Multiline", ["sharpness/.*"]],
                "norm at the end": ["Multiline", ["norm/.*"]],
            },
            "health": {
                "gradient norm before clipping": ["Multiline", ["grad/norm"]],
                "clipped and skipped": ["Multiline", ["grad/clipped", "grad/skipped"]],
            },
        }
        for logger in tensorboards(trainer):
            logger.experiment.add_custom_scalars(layout)

    def on_train_batch_end(self, trainer: L.Trainer, module: LitModel, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The picture of the beginning, and the name of what made an update be skipped."""
        self.tell(trainer, module)
        if module.progress.updates == 1:
            self.show(trainer, module)

    def on_validation_end(self, trainer: L.Trainer, module: LitModel) -> None:
        """The picture of now."""
        self.tell(trainer, module)
        self.show(trainer, module)

    def on_train_end(self, trainer: L.Trainer, module: LitModel) -> None:
        """The name of what was found after the latest update."""
        self.tell(trainer, module)

    def on_exception(self, trainer: L.Trainer, module: LitModel, exception: BaseException) -> None:
        """The name of what ended the run."""
        if isinstance(exception, NonFiniteError):
            self.tell(trainer, module)

    def tell(self, trainer: L.Trainer, module: LitModel) -> None:
        """Name what was not finite, where something was since this was asked before."""
        if module.skips.total > self.told:
            for logger in tensorboards(trainer):
                logger.experiment.add_text("grad/first_offender", module.skips.offender, module.progress.updates)
        self.told = module.skips.total

    def show(self, trainer: L.Trainer, module: LitModel) -> None:
        """Log pictures, scalars and one readable line of the probe sequence."""
        probe, output, line = module.show(PROBE_SEED)
        updates, scalars = module.progress.updates, scalars_of(output.signals)
        for logger in tensorboards(trainer):
            logger.log_metrics(scalars, step=updates)
            drawn = [shown(f"images/{name}", image) for name, image in pictures(module.task, probe, output).items()]
            logger.experiment.file_writer.add_summary(Summary(value=drawn), updates)
            logger.experiment.add_text("probe", line, updates)


def tensorboards(trainer: L.Trainer) -> list[TensorBoardLogger]:
    """The run's TensorBoard loggers."""
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def shown(tag: str, image: Image.Image) -> Summary.Value:
    """A picture as TensorBoard keeps it; its writer's own `add_image` goes by way of floats, and takes three times as long."""
    data = Summary.Image(height=image.height, width=image.width, colorspace=3, encoded_image_string=as_png(image, 1))
    return Summary.Value(tag=tag, image=data)


def scalars_of(signals: tuple[Signal, ...]) -> dict[str, float]:
    """Entropy and sharpness of every weighting, means over the ticks of the first sequence, and the norm of every table's end."""
    found = {}
    for signal in signals:
        name, values = signal.name.replace(",", "").replace(" ", "_"), signal.values[0]
        if signal.weighting:
            found[f"entropy/{name}"] = entropy(values).mean().item()
            found[f"sharpness/{name}"] = values.amax(-1).mean().item()
        if signal.columns is not None:
            found[f"norm/{name}"] = values[-1].norm().item()
    return found


def entropy(weights: Tensor) -> Tensor:
    """Entropy in bits of weights [... N]: 0 where all weight is on one row."""
    return torch.special.entr(weights).sum(-1) / np.log(2)


class Bar(L.Callback):
    """A progress bar with loss, bit error, solved length and time left; where there is no terminal, one line a validation."""

    def __init__(self, console: Console):
        self.console = console
        columns = (
            BarColumn(bar_width=6),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TextColumn("ETA"),
            TimeRemainingColumn(compact=True),
        )
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self.figures = ""

    def on_train_start(self, trainer: L.Trainer, module: LitModel) -> None:
        """Start at the update that a resumed run has reached."""
        self.started, self.first = time.monotonic(), module.progress.updates
        self.given_up, self.unproved = len(module.progress.given_up), module.progress.unproved
        self.line = self.bar.add_task("training", total=trainer.max_steps, completed=self.first, figures="")
        self.bar.start()

    def on_train_batch_end(self, trainer: L.Trainer, module: LitModel, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move on."""
        config, updates, given_up = module.config, module.progress.updates, module.progress.given_up
        if len(given_up) > self.given_up:
            self.given_up = len(given_up)
            why = "no proof" if self.unproved else f"nothing new for {config.curriculum.patience_updates} updates"
            tell(self.console, f"attempt {self.given_up} given up after update {updates}: {why}; begun anew")
        if updates % min(config.trainer.log_every, config.trainer.val_every) == 0:
            stage = config.curriculum.told(module.progress.stage)
            stage += f", attempt {1 + self.given_up}" if config.curriculum.patience_updates else ""
            self.figures = f"loss {outputs['loss'].item():.3f} bit error {outputs['error']:.2%} {stage}".rstrip()
            self.bar.update(self.line, completed=updates, figures=f"{self.figures} {solved(module)}")

    def on_validation_end(self, trainer: L.Trainer, module: LitModel) -> None:
        """Without a terminal, say how it stands."""
        self.unproved = module.progress.unproved
        if not self.console.is_terminal:
            seconds, updates = time.monotonic() - self.started, module.progress.updates
            left = seconds / max(1, updates - self.first) * (trainer.max_steps - updates)
            figures = f"{updates}/{trainer.max_steps}  {self.figures} {solved(module)}"
            tell(self.console, f"{figures}  {seconds:.0f} s, at most {left:.0f} s left")

    def teardown(self, trainer: L.Trainer, module: LitModel, stage: str) -> None:
        """Leave the terminal as it was, also after an error."""
        self.bar.stop()


def solved(module: LitModel) -> str:
    """The longest validation length without an error."""
    return f"solved length {module.solved_length or '-'}"
