"""The command line of every command: the only file that knows Hydra. One line per user's mistake, exit code 2."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ntm.errors import UserError

HERE = Path(__file__).resolve().parent
CONFIG_DIR = next(folder for folder in (HERE.parent / "configs", HERE / "configs") if (folder / "train.yaml").exists())

TEXTS = ("turing", "machine", "input", "simulate", "run", "reference", "resume", "run_dir", "export", "json", "png")
"""Keys that are texts whatever they look like: `input=0110` is no number, `input=1,0` no list."""

OWN_FOLDER = {"--config-dir", "-cd"}
"""Options of Hydra's that add a folder of the user's own choices."""

OPTIONAL = ("experiment", "debug", "")
"""Groups of which nothing need be chosen."""


def command(name: str) -> Callable[[Callable[[dict[str, Any], list[str]], None]], Callable[[], None]]:
    """Decorate `body(values, overrides)` to be run with `configs/<name>.yaml` and the command line's overrides.

    `values` is the composed configuration as plain dicts and lists.
    """

    def decorate(body: Callable[[dict[str, Any], list[str]], None]) -> Callable[[], None]:
        @hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=name)
        def composed(config: DictConfig) -> None:
            values = OmegaConf.to_container(config, resolve=True)
            assert isinstance(values, dict)
            try:
                body(
                    {str(key): value for key, value in values.items()},
                    [unquoted(word) for word in HydraConfig.get().overrides.task],
                )
            except UserError as error:  # here: what leaves this function, Hydra comments on
                fail(name, str(error))

        def main() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra prints its own page about an exception
            for word in sys.argv[1:]:
                group, _, choice = word.partition("=")
                choices = sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))
                if group not in OPTIONAL and choices and choice in ("", "null"):  # Hydra raises a bare ValueError
                    fail(name, f"{word}: must be given; allowed: {', '.join(choices)}")
                numeric = choices and re.match(r"[-+.\d]", choice)  # the same
                # A recipe is optional: Hydra would take none at all for one that is not there.
                missing = group == "recipe" and set(choice.split(",")) - set(choices) and not OWN_FOLDER & set(sys.argv)
                if numeric or missing:
                    fail(name, f"{word}: no such {group}; allowed: {', '.join(choices)}")
            if not {"-m", "--multirun"} & set(sys.argv):  # there commas list values to sweep over
                sys.argv[1:] = [quoted(word) for word in sys.argv[1:]]
            try:
                composed()
            except (HydraException, OmegaConfBaseException) as error:
                fail(name, one_line(error, name))

        return main

    return decorate


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
        values = OmegaConf.to_container(hydra.compose(name, choices), resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def fail(name: str, message: str) -> NoReturn:
    """End the command with exit code 2 and one line."""
    print(f"ntm.{name}: error: {message}", file=sys.stderr)
    sys.exit(2)


def one_line(error: Exception, name: str) -> str:
    """The key, the value and what is allowed, from an exception of Hydra's."""
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
