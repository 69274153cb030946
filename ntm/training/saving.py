"""When checkpoints are written: where a run can go on from exactly as if it had not been stopped."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from ntm import files
from ntm.ends import Ended, watch
from ntm.training import processes
from ntm.training.module import LitModel


class Saving(Checkpoint):
    """Writes last.ckpt every `save_every` updates and after every validation, and best.ckpt where one was the best.

    A validation moves the learning rate, the patience and the best score. So last.ckpt is never written between an update and
    its own validation, but where somebody asks for the end just then: that validation comes first when the run goes on. A
    Checkpoint of Lightning's, so that it runs after all other callbacks. Of several processes only the first writes; the others
    have no paths, and end when it does.
    """

    def __init__(self, last: Path | None, best: Path | None, save_every: int):
        self.last, self.best, self.save_every = last, best, save_every

    def on_train_start(self, trainer: L.Trainer, module: LitModel) -> None:
        """From now on the end waits for a good moment; Lightning has put its own in our signals' place."""
        watch.install()
        watch.held = True

    def on_train_batch_end(self, trainer: L.Trainer, module: LitModel, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write, unless a validation comes next."""
        end_if_asked(module)
        if module.progress.updates % self.save_every == 0 and not module.owes_validation:
            module.mend()
            self.write(trainer, module, self.last)

    def on_validation_batch_start(self, trainer: L.Trainer, module: LitModel, *_: Any) -> None:
        """Nothing but a tally is lost by ending in the middle of a validation, however long it takes; several end together."""
        end_if_asked(module)
        watch.held = processes.several()

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """What comes next is held."""
        watch.held = True

    def on_validation_end(self, trainer: L.Trainer, module: LitModel) -> None:
        """Write, with what the validation has moved."""
        module.mend()
        if module.selection < (math.inf if module.best is None else module.best):
            module.best = module.selection
            self.write(trainer, module, self.best)
        self.write(trainer, module, self.last)
        end_if_asked(module)

    def on_exception(self, trainer: L.Trainer, module: LitModel, exception: BaseException) -> None:
        """Write the latest whole update, unless there is no room on the disk or last.ckpt is the safer place to go on from."""
        watch.held = True
        asked = isinstance(exception, Ended) and exception.safe
        half_validated = trainer.validating and not asked
        at_its_end = module.owes_validation and module.progress.updates >= module.config.trainer.max_steps
        if not isinstance(exception, OSError) and not half_validated and not at_its_end:
            module.back_to_whole()
            with suppress(files.NotFiniteError):  # what is on the disk is better, and the exception is told
                self.write(trainer, module, self.last)

    def write(self, trainer: L.Trainer, module: LitModel, path: Path | None) -> None:
        """One checkpoint; what has been logged is on the disk before it."""
        for logger in trainer.loggers:
            logger.save()
        if path is not None:
            files.save(path, module.sound())


def end_if_asked(module: LitModel) -> None:
    """Nothing is lost by ending now: end, if any of the processes was asked to."""
    if processes.found_by_any(watch.asked is not None, module.device):
        watch.leave()


@contextmanager
def told_once() -> Iterator[None]:
    """A full disk is told by us: TensorBoard's thread hands its error over at the next event, and need not print it as well."""
    told = threading.excepthook

    def hook(raised: threading.ExceptHookArgs) -> None:
        if not issubclass(raised.exc_type, OSError):
            told(raised)

    with mock.patch.object(threading, "excepthook", hook):
        yield


def score_of(best: Path) -> float | None:
    """The score of the best checkpoint in a run's folder, or of the one before it where that is damaged; None: there is none."""
    for path in (best, files.before(best)):
        try:
            score = float(files.load(path)["ntm"]["best"])
            if math.isfinite(score):  # nothing would ever be better than what is no number
                return score
        except (files.DamagedError, OSError, KeyError, TypeError, ValueError):
            continue
    return None
