"""What a resumed run is made from: its own configuration, with what the command line may change."""

import copy
from typing import Any

from ntm import runs
from ntm.config import SHORT
from ntm.errors import UserError

KEPT = ("task", "model", "seed")
"""What a resumed run may not change: it would no longer be the same run."""

CHANGEABLE = ("optimizer", "curriculum", "trainer")
"""What it may."""


def resumed(saved: dict[str, Any], composed: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The saved configuration with what the command line changed; raises UserError for what a run must keep."""
    raw = copy.deepcopy(saved)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        section, *rest = SHORT.get(key, key).split(".")
        if section in runs.RUN_KEYS or section.startswith("hydra"):
            continue
        if key == "task":
            rest = ["name"]
        if section in KEPT:
            kept = value_at(saved, section, rest)
            if value_at(composed, section, rest) != kept:
                kept = "what it was trained with" if isinstance(kept, dict) else kept
                raise UserError(f"{override}: a resumed run keeps its {SHORT.get(key, section)}; allowed: {kept}")
        elif section not in CHANGEABLE:
            raise UserError(f"{override}: cannot be changed when resuming; allowed: keys of {', '.join(CHANGEABLE)}")
        elif rest:
            value_at(raw, section, rest[:-1])[rest[-1]] = value_at(composed, section, rest)
        else:
            raw[section] = composed[section]
    return raw


def value_at(values: dict[str, Any], section: str, path: list[str]) -> Any:
    """The value of a dotted key, None where it does not exist."""
    found: Any = values.get(section)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found
