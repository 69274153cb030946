"""The configuration: plain dicts in, checked frozen dataclasses out, and the machine that they describe.

pydantic checks types and bounds of each key; what two keys must agree on is checked by `Config.check`. A user's mistake is
a `UserError`: one line with the key, the value and what is allowed. Hydra is known only to command.py.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ntm.controllers import LSTM, FeedForward
from ntm.heads import NTMHeads, TapeHeads
from ntm.machine import Machine
from tasks import TASKS, Task
from tasks.base import STRICT, Count, Fraction, Lengths


class UserError(Exception):
    """A mistake of the user's, told in one line; the commands end with exit code 2 and write nothing."""


def odd(width: int) -> int:
    """The width of a shift, checked; raises ValueError where no move would be the middle one."""
    if width % 2 == 0:
        raise ValueError("must be odd (1, 3, 5, ...), so that staying is the middle of the moves")
    return width


Seed = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
Natural = Annotated[int, Field(strict=True, ge=0)]
Odd = Annotated[int, Field(strict=True, ge=1), AfterValidator(odd)]
Positive = Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, config=STRICT)
class FeedForwardConfig:
    """`machine/controller` of kind feedforward."""

    kind: Literal["feedforward"]
    hidden: Lengths  # units of each layer
    register: Natural  # outputs fed back at the next tick; 0 is Graves'


@dataclass(frozen=True, config=STRICT)
class LSTMConfig:
    """`machine/controller` of kind lstm."""

    kind: Literal["lstm"]
    width: Count
    layers: Count


@dataclass(frozen=True, config=STRICT)
class NTMHeadsConfig:
    """`machine/heads` of kind ntm: Graves'."""

    kind: Literal["ntm"]
    read: Count
    write: Count
    stay: Finite  # how strongly a fresh head stays: its gate's logit starts this much lower
    advance: Finite  # how strongly a fresh head moves on: its last move's logit starts this much higher


@dataclass(frozen=True, config=STRICT)
class TapeHeadsConfig:
    """`machine/heads` of kind tape: a Turing machine's."""

    kind: Literal["tape"]
    count: Count
    window: Annotated[tuple[Annotated[int, Field(strict=True)], ...], Field(min_length=1)]  # offsets of the slots seen
    address_from: Literal["hidden", "control"]  # what moves the heads: the controller, or the task's flags alone
    separate: bool  # every head has a tape of its own
    stay: Finite
    advance: Finite


@dataclass(frozen=True, config=STRICT)
class MachineConfig:
    """`machine`: sizes of everything that is learned, and where it starts."""

    controller: Annotated[FeedForwardConfig | LSTMConfig, Field(discriminator="kind")]
    heads: Annotated[NTMHeadsConfig | TapeHeadsConfig, Field(discriminator="kind")]
    slots: Count  # in training; evaluation may use more
    slot_width: Count
    shift_width: Odd
    memory_init: Literal["constant", "learned", "random"]
    memory_value: Finite  # of constant memory, and of slots beyond a learned one
    weights_init: Literal["onehot", "learned"]


@dataclass(frozen=True, config=STRICT)
class OptimizerConfig:
    """`optimizer`: the recipe of an update."""

    name: Literal["adam", "rmsprop"]
    lr: Positive
    lr_floor: Positive  # the rate never decays below
    half_life: Count  # updates, counted from when the task is learned
    addressing_rate: Positive  # learning rate of the layer that moves the heads, as a multiple of lr
    clip: Literal["norm", "value"]
    clip_at: Positive
    max_skips: Count  # non-finite updates in a row that end the run


@dataclass(frozen=True, config=STRICT)
class CurriculumConfig:
    """`curriculum`: see ntm/curriculum.py."""

    stages: tuple[Count, ...]  # empty: the whole task from the start
    top_share: Fraction  # of the batches are of the present stage
    least_batches: Count  # at a stage before the next
    advance_below: Fraction  # running bit error
    learned_below: Fraction  # validation bit error at which the task counts as learned
    noise: NotNegative  # final standard deviation on the logits of register and writing
    noise_updates: Count  # from none to all of it
    noise_below: Fraction  # running bit error under which noise rises
    noise_above: Fraction  # running bit error over which noise falls


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
    threads: Count  # of torch on the CPU; these tensors are small


@dataclass(frozen=True, config=STRICT)
class Config:
    """Everything a run is made from; saved in its folder and in its checkpoints."""

    task: Task
    machine: MachineConfig
    optimizer: OptimizerConfig
    curriculum: CurriculumConfig
    trainer: TrainerConfig
    seed: Seed


SECTIONS: dict[str, Any] = {
    "machine": MachineConfig,
    "optimizer": OptimizerConfig,
    "curriculum": CurriculumConfig,
    "trainer": TrainerConfig,
    "seed": Seed,
}


def parse(raw: dict[str, Any]) -> Config:
    """The configuration from nested plain values, `task.name` choosing the task; raises UserError."""
    unknown = [key for key in raw if key not in SECTIONS and key != "task"]
    if unknown:
        raise UserError(f"{unknown[0]}={raw[unknown[0]]}: no such key; allowed: task, {', '.join(SECTIONS)}")
    missing = [key for key in ("task", *SECTIONS) if raw.get(key) is None]
    if missing:
        raise UserError(f"{missing[0]}=null: must be given; `python -m ntm.train --cfg job` prints the defaults")
    task = parse_task(raw["task"])
    config = Config(task=task, **{key: validate(kind, raw[key], key) for key, kind in SECTIONS.items()})
    check_sizes(config)
    return config


def parse_task(raw: dict[str, Any]) -> Task:
    """The task from its name and fields; raises UserError."""
    name = raw.get("name")
    if name not in TASKS:
        raise UserError(f"task={name}: no such task; allowed: {', '.join(TASKS)}")
    return validate(TASKS[name], {key: value for key, value in raw.items() if key != "name"}, "task")


def validate(kind: Any, raw: Any, where: str) -> Any:
    """`raw` as a `kind`, or a UserError that names the first wrong key below `where`."""
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
    tags = {"feedforward", "lstm", "ntm", "tape"}
    key = ".".join([where, *(str(part) for part in first["loc"] if part not in tags)])
    value = "" if first["type"] in ("missing", "missing_argument") else f"={first['input']}"
    message = first["msg"].removeprefix("Value error, ").replace("Unexpected keyword argument", "no such key")
    raise UserError(f"{key}{value}: {message[0].lower()}{message[1:]}")


def check_sizes(config: Config) -> None:
    """Raise UserError where machine and task do not fit each other."""
    machine, task = config.machine, config.task
    longest = task.lengths[1]
    check_slots(task, machine.slots, longest, "machine.slots")
    if machine.shift_width > machine.slots:
        raise UserError(f"machine.shift_width={machine.shift_width}: at most machine.slots={machine.slots}")
    heads = machine.heads
    count = heads.read + heads.write if isinstance(heads, NTMHeadsConfig) else heads.count
    if count > machine.slots:
        raise UserError(f"machine.slots={machine.slots}: at least one slot for each of the {count} heads")
    stages = list(config.curriculum.stages)
    if stages != sorted(set(stages)):
        raise UserError(f"curriculum.stages={stages}: must rise from stage to stage")


def check_slots(task: Task, slots: int, length: int, key: str) -> None:
    """Raise UserError, naming `key`, where `slots` slots cannot hold a sequence of `length`."""
    needed = task.slots(length)
    if slots < needed:
        raise UserError(f"{key}={slots}: too few for length {length} of this task, which needs at least {needed} slots")


def auto_slots(machine: Machine, task: Task, length: int) -> int:
    """Twice the slots that the length needs, and no fewer than the machine was trained with.

    Slots are a ring: heads that part at home, or one that never stops writing, would meet on it what they should not.
    """
    return max(machine.slots, 2 * task.slots(length))


def build_machine(config: MachineConfig, task: Task) -> Machine:
    """The machine with this configuration's sizes and the task's channels, freshly initialised."""
    controller, heads = config.controller, config.heads
    width = controller.hidden[-1] if isinstance(controller, FeedForwardConfig) else controller.width
    built: NTMHeads | TapeHeads
    if isinstance(heads, NTMHeadsConfig):
        built = NTMHeads(width, config.slot_width, config.shift_width, heads.read, heads.write, heads.stay, heads.advance)
    else:
        control = task.control if heads.address_from == "control" else None
        built = TapeHeads(
            width,
            config.slot_width,
            config.shift_width,
            heads.count,
            heads.window,
            control,
            heads.stay,
            heads.advance,
            heads.separate,
        )
    inputs = built.read_width + (0 if task.traced else task.inputs)
    decider = (
        FeedForward(inputs, list(controller.hidden), controller.register)
        if isinstance(controller, FeedForwardConfig)
        else LSTM(inputs, [controller.width] * controller.layers)
    )
    outputs = 1 if task.traced else task.outputs
    return Machine(decider, built, outputs, config.slots, config.memory_init, config.memory_value, config.weights_init)
