"""Several processes that train one model, each on its rows of every batch: who starts them, and what they must agree upon.

One process is the usual case, and everything here is then nothing. Letters: B batch.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn
from unittest import mock

import torch
from lightning.pytorch.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch import Tensor, distributed, nn

from ntm.errors import UserError
from ntm.models import Learned
from ntm.recipe import TrainerConfig
from tasks import Batch, Score


def environment(trainer: TrainerConfig) -> ClusterEnvironment:
    """Who starts the processes: torchrun, SLURM's srun, or Lightning itself; a run of one process asks nobody.

    Raises UserError where they have started another number of processes than the configuration names.
    """
    alone, told = trainer.processes == 1, f"trainer.devices={trainer.devices}, trainer.num_nodes={trainer.num_nodes}"
    try:
        if TorchElasticEnvironment.detect():
            check_started("torchrun", int(os.environ["WORLD_SIZE"]), trainer.processes)
            return LightningEnvironment() if alone else TorchElasticEnvironment()
        if not alone and "SLURM_PROCID" in os.environ and SLURMEnvironment.detect():
            check_started("SLURM", int(os.environ["SLURM_NTASKS"]), trainer.processes)
            slurm = SLURMEnvironment(auto_requeue=False)
            slurm.validate_settings(trainer.devices, trainer.num_nodes)
            return slurm
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{told}: {error}") from None
    if trainer.num_nodes > 1 and "MASTER_ADDR" not in os.environ:  # it would wait half an hour for nobody
        raise UserError(f"{told}: nobody says where the first machine is; allowed: 1, or started by torchrun or SLURM's srun")
    return LightningEnvironment()


def check_started(by: str, started: int, asked: int) -> None:
    """Raise ValueError where somebody has started another number of processes than is asked for."""
    if started != asked:
        raise ValueError(f"{by} has started {started} process(es), not {asked}; allowed: devices x num_nodes = {started}")


def rank_of(found: ClusterEnvironment, trainer: TrainerConfig) -> int:
    """Which process this one is; 0 writes, prints and speaks for all."""
    rank = 0 if trainer.processes == 1 else found.node_rank() * trainer.devices + found.local_rank()
    found.set_global_rank(rank)  # a run of one process is the first in its log, too, whatever SLURM's variables say
    return rank


def part(batch: Batch) -> Batch:
    """This process's rows of a batch."""
    return batch if not several() else Batch(*(column[rows()] for column in batch))


def rows() -> slice:
    """Which rows of a batch are this process's."""
    return slice(distributed.get_rank(), None, distributed.get_world_size()) if several() else slice(None)


def share(batch: Batch, mean_over: str) -> float:
    """What this process's part weighs in the mean over the whole batch: the weighted sum of the parts' losses is the batch's."""
    if not several():
        return 1.0
    weights = batch.mask.sum(1) if mean_over == "bits" else torch.ones(len(batch.mask))
    return (weights[rows()].sum() / weights.sum()).item()


def shared(loss: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
    """A part's weighted loss as DistributedDataParallel wants it: it means gradients, and waits for one of every parameter."""
    if not several():
        return loss
    return loss * distributed.get_world_size() + 0.0 * torch.stack([p.sum() for p in parameters]).sum()


def together(own: Learned, weight: float, size: int) -> Learned:
    """Loss, score [B] and blur of a whole batch of `size` rows, from this process's part of it and the others'."""
    if not several():
        return own
    counts = own.loss.new_zeros(2, size, dtype=torch.float64)
    counts[:, rows()] = torch.stack([own.score.errors, own.score.due]).double()
    means = torch.stack([own.loss.detach(), own.loss.new_zeros(()) if own.blur is None else own.blur]).double() * weight
    both = torch.cat([counts.flatten(), means])
    distributed.all_reduce(both)
    errors, due = both[:-2].view(2, size)
    return Learned(both[-2].float(), Score(errors, due), None if own.blur is None else both[-1].float())


def agreed(offender: str | None, device: torch.device) -> str | None:
    """The offender that this process has found, or that another one has: then all of them have one."""
    found = found_by_any(offender is not None, device)  # asked by all of them, those too that know it already
    return offender or ("something in another process" if found else None)


def found_by_any(flag: bool, device: torch.device) -> bool:
    """Whether the flag is up in any of the processes."""
    if not several():
        return flag
    flags = torch.tensor(float(flag), device=device)
    distributed.all_reduce(flags)
    return bool(flags)


def several() -> bool:
    """Whether there are other processes."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


FIRST = "NTM_FIRST"
"""Variable of the environment by which the first process tells those that Lightning starts for it which one it is."""

PATIENCE = 10.0
"""Seconds that the library which joins the processes has to notice that one is gone; mostly it does at once."""

LAUNCHER = "lightning.pytorch.strategies.launchers.subprocess_script._launch_process_observer"


@contextmanager
def to_the_end(leave: Callable[[], NoReturn]) -> Iterator[None]:
    """Processes that are started meanwhile work together until the end; where one of them is gone, `leave` ends this one.

    At once, as it is: to unwind would free the group of processes, which joins gloo's threads with Python's lock held, and where
    one of them just wants that lock they wait for each other. By another thread, where the one that trains would wait for a process
    that is gone: half an hour, while they have not met yet; and in about one of 400 kills gloo misses that its peer is gone.
    """
    over = threading.Event()

    def watch(gone: Callable[[], bool]) -> None:
        while not over.wait(0.2):
            if gone():
                if not over.wait(PATIENCE):
                    leave()
                return

    def begin(gone: Callable[[], bool]) -> None:
        threading.Thread(target=watch, args=[gone], daemon=True).start()

    def observe(started: list["subprocess.Popen[bytes]"]) -> None:
        begin(lambda: any(process.poll() for process in started))

    first = os.environ.get(FIRST)
    with (
        mock.patch.dict(os.environ, {FIRST: str(os.getpid())}),  # Lightning adds who its children are: a later run would listen
        mock.patch(LAUNCHER, observe),  # its own kills this process, whatever it is writing
    ):
        if first is not None:
            begin(lambda: str(os.getppid()) != first)
        try:
            yield
        except RuntimeError as error:
            if several() and any(word in str(error) for word in ("gloo", "NCCL", "Connection")):
                over.set()
                leave()
            raise
        finally:
            if several():
                time.sleep(0.1)  # gloo's threads let go of their last sum meanwhile, for which they want Python's lock, too
            if distributed.is_available() and distributed.is_initialized():
                distributed.destroy_process_group()
            over.set()
