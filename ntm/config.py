"""The configuration: plain values in, checked frozen dataclasses out, and back.

pydantic checks types and bounds of each key; what task, model and recipe must agree on is checked where the model is built. A
user's mistake is a `UserError`: one line with the key, the value and what is allowed. Hydra is known only to command.py.
"""

from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ntm.errors import UserError
from ntm.models import MODELS, Model, ModelConfig
from ntm.recipe import CurriculumConfig, OptimizerConfig, TrainerConfig
from tasks import TASKS, Task
from tasks.fields import Seed


class Config(NamedTuple):
    """Everything a run is made from; saved in its folder and in its checkpoints."""

    recipe: str  # where its rates come from: a file of configs/recipe, or "neutral"
    task: Task
    model: ModelConfig
    optimizer: OptimizerConfig
    curriculum: CurriculumConfig
    trainer: TrainerConfig
    seed: int

    def lesson(self, stage: int) -> Task:
        """The task as the stage of this index asks for it: those of a warm-up come first."""
        stages, warmup = self.curriculum.stages, self.curriculum.warming(stage)
        if warmup is not None:
            return replace(self.task, **warmup.task).staged(warmup.stages[stage])
        return self.task.staged(stages[stage - self.curriculum.warm_stages]) if stages else self.task


TABLES: dict[str, dict[str, Any]] = {"task": TASKS, "model": MODELS}
"""Sections whose key `name` chooses what the others mean."""

SECTIONS: dict[str, Any] = {
    "recipe": str,
    "task": Task,
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "curriculum": CurriculumConfig,
    "trainer": TrainerConfig,
    "seed": Seed,
}

SHORT = {"turing": "task.table", "slots": "room"}
"""Keys of the command line that are another name of one."""


def parse(raw: dict[str, Any]) -> Config:
    """The configuration from nested plain values; raises UserError."""
    unknown = [key for key in raw if key not in SECTIONS and not stands_for_one(key, raw)]
    if unknown:
        raise UserError(f"{unknown[0]}={raw[unknown[0]]}: no such key; allowed: {', '.join(SECTIONS)}")
    missing = [key for key in SECTIONS if raw.get(key) is None]
    if missing:
        raise UserError(f"{missing[0]}=null: must be given; `python -m ntm.train --cfg job` prints the defaults")
    short = {long: key for key, long in SHORT.items() if key in raw}
    config = Config(**{key: section(key, raw[key], short) for key in SECTIONS})
    if config.curriculum.warmup is not None:
        check_warmup(config.task, config.curriculum.warmup.task)
    return config


def check_warmup(task: Task, changed: dict[str, Any]) -> None:
    """Raise UserError where a task cannot be changed so, or would have other channels then."""
    key = "curriculum.warmup.task"
    whole = {**TypeAdapter(type(task)).dump_python(task, mode="json"), **changed}
    warm = validate(type(task), whole, key)
    if (warm.inputs, warm.outputs) != (task.inputs, task.outputs):
        raise UserError(f"{key}={changed}: other channels than the task's; allowed: fields that keep them")


def stands_for_one(key: str, raw: dict[str, Any]) -> bool:
    """Whether `key` is the short name of a key that is there."""
    part, _, field = SHORT.get(key, "").partition(".")
    return isinstance(raw.get(part), dict) and field in raw[part]


def section(key: str, raw: Any, short: dict[str, str]) -> Any:
    """One part of the configuration, its key `name` choosing from the table where there is one; raises UserError."""
    if key not in TABLES:
        return validate(SECTIONS[key], raw, key)
    name = raw.get("name") if isinstance(raw, dict) else raw
    if not isinstance(name, str) or name not in TABLES[key]:
        raise UserError(f"{key}.name={name}: no such {key}; allowed: {', '.join(TABLES[key])}")
    return validate(TABLES[key][name], {field: value for field, value in raw.items() if field != "name"}, key, short)


def validate(kind: Any, raw: Any, where: str, short: dict[str, str] | None = None) -> Any:
    """`raw` as a `kind`, or a UserError that names the first wrong key below `where`, by its `short` name if it has one."""
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
    key = ".".join([where, *path_of(raw, first["loc"])])
    key = (short or {}).get(key, key)
    if first["type"] == "union_tag_invalid":
        tag = first["ctx"]
        raise UserError(f"{key}.{tag['discriminator'].strip(chr(39))}={tag['tag']}: allowed: {tag['expected_tags']}")
    if first["type"] in ("missing", "missing_argument"):
        if isinstance(first["loc"][-1], int):  # a place in a list
            raise UserError(f"{key.rpartition('.')[0]}={first['input']}: too short; allowed: a list of two, as [1,20]")
        raise UserError(f"{key}: must be given; allowed: {key}=<value>")
    beside = f"; allowed: {', '.join(siblings(raw, first['loc']))}" if first["type"] == "unexpected_keyword_argument" else ""
    raise UserError(f"{key}={first['input']}: {said(first)}{beside}")


def path_of(raw: Any, loc: tuple[int | str, ...]) -> list[str]:
    """The keys of an error's place; what pydantic adds for itself (the kind that a union was read as) is left out."""
    path = []
    for part in loc:
        inside = part in raw if isinstance(raw, dict) else isinstance(raw, list) and part in range(len(raw))
        if inside or part is loc[-1]:
            path.append(str(part))
        raw = raw[part] if inside else raw
    return path


def siblings(raw: Any, loc: tuple[int | str, ...]) -> list[str]:
    """The keys beside the one at an error's place."""
    for part in loc[:-1]:
        raw = raw[part] if isinstance(raw, dict) and part in raw else raw
    return [str(key) for key in raw if key != loc[-1]]


WORDS = {
    "Value error, ": "",
    "Unexpected keyword argument": "no such key",
    "Input should be": "allowed:",
    "Tuple should have": "allowed: a list with",
    " after validation, not": ", not",
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid tuple": "a list, as [1,2]",
    "a valid boolean": "a boolean, true or false",
    "a valid string": "a text",
    "a valid dictionary or object to extract fields from": "keys, as {key: value}",
    ", unable to parse string as a number": "",
    ", unable to parse string as an integer": "",
    ", unable to interpret input": "",
}
"""What pydantic says, and we."""


def said(error: ErrorDetails) -> str:
    """pydantic's words, as ours."""
    message = error["msg"]
    for theirs, ours in WORDS.items():
        message = message.replace(theirs, ours)
    return f"{message[0].lower()}{message[1:]}"


def spoken(key: str, overrides: list[str]) -> str:
    """The name by which the command line speaks of `key`: another one, where that was typed."""
    typed = {word.partition("=")[0] for word in overrides}
    return next((short for short, long in SHORT.items() if long == key and short in typed and key not in typed), key)


def plain(config: Config) -> dict[str, Any]:
    """The configuration as nested plain values, complete in themselves: what `parse` reads, as checkpoints hold it."""
    return {key: plain_section(key, part) for key, part in config._asdict().items()}


def plain_section(key: str, part: Any) -> Any:
    """One part of the configuration as plain values."""
    kind = type(part) if key in TABLES else SECTIONS[key]
    values = TypeAdapter(kind).dump_python(part, mode="json")
    return {"name": name_of(key, part), **values} if key in TABLES else values


def name_of(key: str, part: Any) -> str:
    """The name by which a task or a model stands in its table."""
    return next(name for name, kind in TABLES[key].items() if kind is type(part))


def build(config: Config) -> Model:
    """The model, freshly initialised; raises UserError where task, model and recipe do not fit each other."""
    model = config.model.build(config.task)
    model.use(config.trainer.backend)
    if config.curriculum.noise and not model.noise_width:
        raise UserError(f"curriculum.noise={config.curriculum.noise:g}: this model has no gates to take noise; allowed: 0")
    if config.curriculum.focus and not (model.focuses and (config.curriculum.noise or config.curriculum.focus_updates)):
        lacking = "grows with curriculum.noise, which is 0" if model.focuses else "this model has no heads to focus"
        raise UserError(f"curriculum.focus={config.curriculum.focus:g}: {lacking}; allowed: 0")
    for key in ("rounding_from", "rounding_updates", "pruning_updates", "hardening"):
        if getattr(config.curriculum, key) and not model.rounds:
            told = f"curriculum.{key}={getattr(config.curriculum, key):g}: this model hands on what is no bits"
            raise UserError(f"{told}; allowed: 0")
    if config.curriculum.warmup is not None and config.curriculum.warmup.focus and not model.focuses:
        raise UserError(f"curriculum.warmup.focus={config.curriculum.warmup.focus:g}: this model has no heads to focus; allowed: 0")
    groups = model.groups()
    for name, rate in config.optimizer.rates.items():
        if rate != 1 and name not in groups:
            raise UserError(f"optimizer.{name}_rate={rate:g}: this model has no parameters of that group; allowed: 1")
    return model
