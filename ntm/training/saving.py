"""When last.ckpt is written: only where a run can go on from it exactly as if it had not been stopped."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from ntm.training.module import LitModel


class Last(Checkpoint):
    """Writes last.ckpt every `save_every` updates and after every validation, never between an update and its validation.

    A validation moves the learning rate, the patience and the best score. A checkpoint of an update whose validation is still to
    come would have a resumed run go without it. A Checkpoint of Lightning's, so that it runs after the one that keeps the best.
    """

    def __init__(self, path: Path, save_every: int, val_every: int):
        self.path, self.save_every, self.val_every = path, save_every, val_every
        self.validated = 0  # update of the latest validation

    def on_train_start(self, trainer: L.Trainer, module: LitModel) -> None:
        """A resumed run has had the validation of the update that it goes on from."""
        self.validated = module.progress.updates

    def on_train_batch_end(self, trainer: L.Trainer, module: LitModel, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write, unless a validation comes next."""
        if module.progress.updates % self.save_every == 0 and not self.owes_validation(module):
            trainer.save_checkpoint(self.path)

    def on_validation_end(self, trainer: L.Trainer, module: LitModel) -> None:
        """Write, with what the validation has moved."""
        self.validated = module.progress.updates
        trainer.save_checkpoint(self.path)

    def on_exception(self, trainer: L.Trainer, module: LitModel, exception: BaseException) -> None:
        """Write what there is, unless what was written before is the safer place to go on from."""
        if not self.owes_validation(module) or not self.path.exists():
            trainer.save_checkpoint(self.path)

    def owes_validation(self, module: LitModel) -> bool:
        """Whether the present update is to be validated and has not been."""
        return module.progress.updates % self.val_every == 0 and self.validated != module.progress.updates
