"""Seconds of training until no bit is wrong: copy as shipped beside pytorch-ntm's own copy task.

Both learn 1 to 20 vectors of 8 bits. Judged on fresh sequences after every second of training; only training is counted.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import lightning as L
import numpy as np
import torch

from ntm.benches import floor, ours, rivals
from ntm.benches.steps import LSTM
from ntm.benches.timing import Asked, Measured
from ntm.config import build
from ntm.ends import watch
from ntm.models.recurrent import Recurrent
from ntm.train import quiet
from ntm.training.data import TaskData
from ntm.training.module import LitModel

LENGTHS = (20, 100)
SEQUENCES = 64
EVERY = 1.0
"""Seconds of training between judgements."""

FOREVER = 10**9
WORDS = ["task=copy", f"trainer.max_steps={FOREVER}", "trainer.stop_when_solved=false"]
CLIP = 10
"""What pytorch-ntm's own training holds gradients within."""

Judge = Callable[[int, int], int]
"""Wrong bits of fresh batch `index` of sequences of one length."""


class Race:
    """A clock that runs while there is training, and judges."""

    def __init__(self, side: str, limit: float, multiply_adds: int, judge: Judge):
        self.side, self.limit, self.multiply_adds, self.judge = side, limit, multiply_adds, judge
        self.seconds, self.next = 0.0, EVERY
        self.since: float | None = None  # the clock runs from then on
        self.updates = self.ticks = self.judged = 0
        self.found: dict[int, tuple[float, int, int]] = {}  # length to seconds, updates, ticks of all sequences

    def go(self) -> None:
        """Training goes on."""
        self.since = time.perf_counter()

    def stop(self) -> None:
        """Training waits."""
        if self.since is not None:
            self.seconds += time.perf_counter() - self.since
            self.since = None

    def updated(self, ticks: int) -> bool:
        """An update is made, on so many ticks of all sequences; returns whether the race is over."""
        self.stop()
        self.updates, self.ticks = self.updates + 1, self.ticks + ticks
        if self.seconds >= self.next:
            self.next = self.seconds + EVERY
            self.look()
        over = len(self.found) == len(LENGTHS) or self.seconds >= self.limit
        self.go()
        return over

    def look(self) -> None:
        """Judge the shortest length that has been wrong so far, and longer ones where that is right."""
        self.judged += 1
        for length in LENGTHS:
            if length not in self.found:
                if self.judge(self.judged, length):
                    return
                self.found[length] = (self.seconds, self.updates, self.ticks)

    def lines(self, flops: float) -> list[dict[str, Any]]:
        """A line for each length."""
        lines = []
        for length in LENGTHS:
            seconds, updates, ticks = self.found.get(length, (None, self.updates, self.ticks))
            least = floor.seconds(self.multiply_adds * ticks, flops)
            says = f"not within {self.seconds:.3g} s" if seconds is None else "no bit"
            line = {"copy_of": length, "side": self.side, "s": seconds, "wrong": says, "updates": updates}
            lines.append({**line, "floor_s": least, "ratio": (self.seconds if seconds is None else seconds) / least})
        return lines


class Clock(L.Callback):
    """The race inside of Lightning's loop: validations of the run's own are not counted either."""

    def __init__(self, race: Race):
        self.race = race

    def on_train_start(self, *_: Any) -> None:
        watch.install()  # Lightning has put its own in our signals' place
        self.race.go()

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, draw: Any, index: int) -> None:
        if self.race.updated(draw.batch.mask.numel()):
            trainer.should_stop = True

    def on_validation_start(self, *_: Any) -> None:
        self.race.stop()

    def on_validation_end(self, *_: Any) -> None:
        self.race.go()


def measure(asked: Asked) -> Measured:
    """One race after the other, the matrix product before and after each."""
    product, speeds = floor.Product(), []
    races = [by_us] if asked.pytorch_ntm is None else [by_us, by_pytorch_ntm]
    run = []
    for race in races:
        speeds += [product() for _ in range(5)]
        run.append(race(asked))
    speeds += [product() for _ in range(5)]
    flops = float(np.median(speeds))
    notes = () if asked.pytorch_ntm is not None else ("pytorch-ntm: no checkout is given (pytorch_ntm=<folder>)",)
    return Measured(flops, {"solved": [line for race in run for line in race.lines(flops)]}, notes)


def by_us(asked: Asked) -> Race:
    """This project, as `python -m ntm.train task=copy` trains it, files and pictures left out."""
    config = ours.config_of(*WORDS, f"seed={asked.seed}", f"trainer.threads={torch.get_num_threads()}")
    quiet()
    L.seed_everything(config.seed, verbose=False)
    module = LitModel(config)
    module.model.prepare(module.config.trainer.batch_size)

    def judge(index: int, length: int) -> int:
        with torch.inference_mode():
            return int(module.model.examine(config.task, config.seed, index, SEQUENCES, length).errors.sum())

    assert isinstance(module.model, Recurrent)
    race = Race("this project", asked.limit, floor.multiply_adds(module.model), judge)
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=FOREVER,
        val_check_interval=config.trainer.val_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=[Clock(race)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=TaskData(config, lambda: module.progress))
    return race


def by_pytorch_ntm(asked: Asked) -> Race:
    """pytorch-ntm with its own settings; its floor is that of this project's machine of the same sizes."""
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(asked.seed)
    own = asked.pytorch_ntm.training()
    drawn = np.random.default_rng(asked.seed)  # to judge by

    def judge(index: int, length: int) -> int:
        vectors = torch.from_numpy(drawn.integers(0, 2, (length, SEQUENCES, 8))).float()
        with torch.no_grad():
            said = rivals.answer(own.net, rivals.asked(vectors), length)
        return int(((said > 0.5) != vectors.bool()).sum())

    same = build(ours.config_of(*LSTM))
    assert isinstance(same, Recurrent)
    race = Race("pytorch-ntm", asked.limit, floor.multiply_adds(same), judge)
    race.go()
    for _, inputs, targets in own.dataloader:
        rivals.update(own.net, own.optimizer, inputs, targets, own.criterion, CLIP)
        if race.updated((len(inputs) + len(targets)) * inputs.shape[1]):
            break
    return race
