"""The command line of every command: the only file that knows Hydra. One line per user's mistake, exit code 2."""

import itertools
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ntm.config import SHORT
from ntm.ends import Ended, watch
from ntm.errors import UserError

HERE = Path(__file__).resolve().parent
CONFIG_DIR = next(folder for folder in (HERE.parent / "configs", HERE / "configs") if (folder / "train.yaml").exists())

TEXTS = ("turing", "machine", "input", "simulate", "run", "reference", "resume", "run_dir", "export", "json", "png")
"""Keys that are texts whatever they look like: `input=0110` is no number, `input=1,0` no list."""

OWN_FOLDER = {"--config-dir", "-cd"}
"""Options of Hydra's that add a folder of the user's own choices."""

LONGEST = 1000
"""Characters of the one line about a mistake."""

OPTIONAL = ("experiment", "debug", "")
"""Groups of which nothing need be chosen."""


def command(
    name: str, check: Callable[[dict[str, Any]], object] = lambda values: None
) -> Callable[[Callable[[dict[str, Any], list[str]], None]], Callable[[], None]]:
    """Decorate `body(values, overrides)` to be run with `configs/<name>.yaml` and the command line's overrides.

    `values` is the composed configuration as plain dicts and lists. `check(values)` raises UserError where a run of a sweep could
    not even begin.
    """

    def decorate(body: Callable[[dict[str, Any], list[str]], None]) -> Callable[[], None]:
        begun = False  # from then on, an exception is our own mistake
        given: list[str] = []  # words as they were typed

        @hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=name)
        def composed(config: DictConfig) -> None:
            nonlocal begun
            sys.argv[1:] = given  # Lightning starts further processes with them
            words = [unquoted(word) for word in HydraConfig.get().overrides.task]
            try:
                values = plain_values(config)
                refuse_added(words, values, name)
                begun = True
                body(values, words)
            except (UserError, OmegaConfBaseException) as error:  # here: what leaves this function, Hydra comments on
                fail(name, one_line(error, name))

        def main() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra prints its own page about an exception
            check_choices(name)
            sweep = {"-m", "--multirun"} & set(sys.argv)
            given[:] = sys.argv[1:]
            if sweep:  # commas list values to sweep over; argparse wants the option before them
                sys.argv[1:] = ["-m", *(word for word in sys.argv[1:] if word not in sweep)]
            else:
                sys.argv[1:] = [quoted(word) for word in sys.argv[1:]]
            try:
                with watch, mock.patch.object(ArgumentParser, "error", lambda _, message: fail(name, message)):
                    if sweep:
                        check_sweep(name, check)
                    composed()
            except Ended as ended:
                print(f"ntm.{name}: stopped by {ended}", file=sys.stderr)
                sys.exit(ended.code)
            except (UserError, HydraException, OmegaConfBaseException) as error:
                fail(name, one_line(error, name))
            except (OSError, ValueError, RecursionError) as error:  # Hydra's, of words that it does not understand
                if begun:
                    raise
                fail(name, one_line(error, name))

        return main

    return decorate


def plain_values(config: DictConfig) -> dict[str, Any]:
    """The composed configuration as plain dicts and lists."""
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def refuse_added(words: list[str], values: dict[str, Any], name: str) -> None:
    """Raise UserError where a word has added a key that the command does not know."""
    if any(word.startswith("+") for word in words):
        known = defaults(name, [])
        unknown = next((key for key in values if key not in known and key not in SHORT), None)
        if unknown is not None:
            raise UserError(f"{unknown}={values[unknown]}: no such key; allowed: {', '.join(known)}")


def check_choices(name: str) -> None:
    """End with one line where a group's choice is none of its files: Hydra would raise a bare ValueError, or say nothing."""
    for word in sys.argv[1:]:
        group, _, choice = word.partition("=")
        choices = sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))
        if group not in OPTIONAL and choices and choice in ("", "null"):
            fail(name, f"{word}: must be given; allowed: {', '.join(choices)}")
        numeric = choices and re.match(r"[-+.\d]", choice)
        # A recipe is optional: Hydra would take none at all for one that is not there.
        missing = group == "recipe" and set(choice.split(",")) - set(choices) and not OWN_FOLDER & set(sys.argv)
        if numeric or missing:
            fail(name, f"{word}: no such {group}; allowed: {', '.join(choices)}")


def check_sweep(name: str, check: Callable[[dict[str, Any]], object]) -> None:
    """Compose and check every run of a sweep before the first one begins; raises what a single run would."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    parsed = OverridesParser.create().parse_overrides(words)
    sweeps = [list(word.sweep_string_iterator()) if word.is_sweep_override() else [None] for word in parsed]
    for chosen in itertools.product(*sweeps):
        pairs = zip(words, parsed, chosen)
        check(defaults(name, [word if value is None else f"{one.get_key_element()}={value}" for word, one, value in pairs]))


def quoted(word: str) -> str:
    """A word of the command line as Hydra must be told it: a text of ours in quotes, anything else as it is."""
    key, equals, value = word.partition("=")
    if not equals or key not in TEXTS or value in ("", "null"):
        return word
    inside = re.sub(r"(\\*)'", r"\1\1\'", value)  # Hydra's rule: backslashes count before a quote only
    trailing = re.search(r"\\*$", inside)
    assert trailing is not None
    return f"{key}='{inside}{trailing[0]}'"


def unquoted(word: str) -> str:
    """The word that `quoted` was given."""
    key, equals, value = word.partition("=")
    if not equals or key not in TEXTS or value[:1] != "'":
        return word
    return f"{key}={value[1:-1]}"


def defaults(name: str, choices: list[str]) -> dict[str, Any]:
    """The configuration of a command with these choices (`task=...`), as plain values."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return plain_values(hydra.compose(name, choices))


def fail(name: str, message: str) -> NoReturn:
    """End the command with exit code 2 and one line."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    print(f"ntm.{name}: error: {line[:LONGEST]}", file=sys.stderr)
    sys.exit(2)


def one_line(error: Exception, name: str) -> str:
    """The key, the value and what is allowed, from an exception of ours or of Hydra's."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={choice}: no such {group}; allowed: {', '.join(error.options)}"
    refused = re.match(r"Could not (?:override|append to config) '([^']*)'", str(error))
    if refused:
        given = next((unquoted(text) for text in sys.argv[1:] if text.lstrip("+~").startswith(refused[1])), refused[1])
        return f"{given}: no such key; allowed: {allowed_beside(name, refused[1])}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read; allowed: key=value, lists as [1,2]"
    return " ".join(str(error).split())


def allowed_beside(name: str, key: str) -> str:
    """The keys that exist where `key` was looked for, under the choices (`task=...`) of this command line."""
    choices = [word for word in sys.argv[1:] if re.fullmatch(r"\w+=\w+", word) and (CONFIG_DIR / word.partition("=")[0]).is_dir()]
    try:
        found, path = defaults(name, choices), ""
    except HydraException:  # a group of another command's
        found, path = defaults(name, []), ""
    for part in key.split(".")[:-1]:
        if not isinstance(found.get(part), dict):
            break
        found, path = found[part], f"{path}{part}."
    return ", ".join(f"{path}{other}" for other in found)
