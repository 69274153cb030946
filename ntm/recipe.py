"""What a recipe says: how an update is made, how training gets harder, how long and where. Checked frozen dataclasses."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from tasks.fields import STRICT, Count, Fraction, Many, Natural, NotNegative, Positive


def rising(stages: tuple[int, ...]) -> tuple[int, ...]:
    """The stages, checked; raises ValueError where one is not above the one before it."""
    if list(stages) != sorted(set(stages)):
        raise ValueError("must rise from stage to stage")
    return stages


def later(rise: tuple[int, int]) -> tuple[int, int]:
    """Two updates, checked; raises ValueError where the second is not after the first."""
    if rise[0] >= rise[1]:
        raise ValueError(f"must be [first, last], not [{rise[0]}, {rise[1]}]")
    return rise


Rise = Annotated[tuple[Natural, Natural], AfterValidator(later)]

Stages = Annotated[tuple[Count, ...], Field(max_length=1000), AfterValidator(rising)]


@dataclass(frozen=True, config=STRICT)
class OptimizerConfig:
    """`optimizer`: the recipe of an update."""

    name: Literal["adam", "rmsprop"]
    lr: Positive
    lr_floor: Positive  # the rate never decays below
    half_life: Count  # updates, counted from when the task is learned
    addressing_rate: Positive  # learning rate of a model's group "addressing", as a multiple of lr
    clip: Literal["norm", "value"]
    clip_at: Positive
    max_skips: Count  # non-finite updates in a row that end the run
    error_rate: NotNegative = 0.0  # running bit error, at the last stage, under which the rate falls in proportion to it

    @property
    def rates(self) -> dict[str, float]:
        """Multiples of `lr` by the names of `Model.groups`."""
        return {"addressing": self.addressing_rate}


@dataclass(frozen=True, config=STRICT)
class WarmupConfig:
    """`curriculum.warmup`: another form of the task, on the same channels, that is learned first, for how heads move in it."""

    task: dict[str, Any]  # fields of the task that differ
    stages: Annotated[Stages, Field(min_length=1)]
    advance_below: Fraction  # running bit error
    focus: NotNegative  # weight of the penalty on blurred heads, at the last stage
    focused_below: Fraction  # how blurred they are at most when it ends
    addressing_rate: Positive  # instead of the optimizer's

    @property
    def about(self) -> str:
        """What is learned first, for the summary of a run."""
        return f"{self.task}, stages {list(self.stages)}, until heads look at one slot each"


@dataclass(frozen=True, config=STRICT)
class CurriculumConfig:
    """`curriculum`: see ntm/training/curriculum.py."""

    stages: Stages  # what each asks of the task; empty: the whole task from the start
    top_share: Fraction  # of the batches are of the present stage
    least_batches: Count  # at a stage before the next
    advance_below: Fraction  # running bit error
    learned_below: Fraction  # validation bit error at which the task counts as learned
    noise: NotNegative  # final standard deviation of what a model adds to its logits or units
    noise_updates: Count  # from none to all of it
    noise_below: Fraction  # running bit error under which noise rises
    noise_above: Fraction  # running bit error over which noise falls
    focus: NotNegative = 0.0  # weight of the penalty on blurred heads, or soft weights, in full
    focus_updates: Rise | None = None  # from the first of these updates to the second it rises, by the clock; null: with the noise
    rounding_from: Fraction = 0.0  # how far values are drawn to bits as soon as there is no warm-up any more
    rounding_updates: Natural = 0  # from that to all of it, once noise is in full; 0: never
    pruning_updates: Natural = 0  # in which a channel that is given up must not be missed any more; 0: none is
    hardening: bool = False  # whether, once noise is in full, ticks are practised until the machine, rounded, is proved
    patience_updates: Natural = 0  # without anything new, after which an attempt is given up and begun anew; 0: never
    proof: bool = False  # whether a run is over only with a proof; an attempt that ends without one is given up
    warmup: WarmupConfig | None = None

    @property
    def warm_stages(self) -> int:
        """Stages of the warm-up, which come before the others."""
        return 0 if self.warmup is None else len(self.warmup.stages)

    @property
    def all_stages(self) -> int:
        """Stages in all."""
        return self.warm_stages + max(1, len(self.stages))

    def warming(self, stage: int) -> WarmupConfig | None:
        """The warm-up, where the stage of this index is one of its own."""
        return self.warmup if stage < self.warm_stages else None

    def told(self, stage: int) -> str:
        """The stage of an index in words; none where there is only one."""
        warmup = self.warming(stage)
        if warmup is not None:
            return f"warm-up {warmup.stages[stage]}"
        return f"stage {self.stages[stage - self.warm_stages]}" if self.stages else ""


@dataclass(frozen=True, config=STRICT)
class TrainerConfig:
    """`trainer`: how long, how often, where."""

    max_steps: Count  # updates
    batch_size: Count
    mean_over: Literal["bits", "sequences"]  # what the loss is a mean of
    val_every: Count  # updates
    val_sequences: Count  # for each validation length
    log_every: Count  # updates
    save_every: Count  # updates
    stop_when_solved: bool  # end when val_patience validations in a row are without an error
    val_patience: Count
    accelerator: Literal["auto", "cpu", "gpu"]
    threads: Many  # of torch on the CPU, in each process; these tensors are small
    backend: Literal["auto", "eager", "fused"] = "auto"  # auto: the fused step, where model, device and machine have it
    devices: Many = 1  # processes on each machine; each takes its rows of every batch
    num_nodes: Many = 1  # machines
    strategy: Literal["auto", "ddp"] = "auto"  # of several processes: Lightning's name

    @property
    def processes(self) -> int:
        """All of them together."""
        return self.devices * self.num_nodes
