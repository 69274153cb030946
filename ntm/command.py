"""The command line of every command: the only file that knows Hydra. One line per user's mistake, exit code 2."""

import itertools
import math
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NoReturn
from unittest import mock

import hydra
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.core.utils import JobReturn, filter_overrides
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from ntm.config import SHORT
from ntm.ends import Ended, watch
from ntm.errors import UserError
from ntm.sweep import named, together
from ntm.words import ALLOWED, CONFIG_DIR, TEXTS, asks_for_help, help_of, sweeps

LONGEST = 1000
"""Characters of the one line about a mistake."""

LAUNCH = "hydra._internal.core_plugins.basic_launcher.BasicLauncher.launch"
"""What Hydra's own launcher does; by its name, for Hydra makes the class anew when it looks for plug-ins."""

RUNS = 1000
"""Runs of one sweep: each is composed and checked before the first begins."""


def command(
    name: str, check: Callable[[Iterable[dict[str, Any]]], int] | None = None
) -> Callable[[Callable[[dict[str, Any], list[str]], None]], Callable[[], None]]:
    """Decorate `body(values, overrides)` to be run with `configs/<name>.yaml` and the command line's overrides.

    `values` is the composed configuration as plain dicts and lists. `check([values, ...])` says how many runs of a
    sweep go at once, and raises UserError where one could not even begin; a command without it sweeps over nothing.
    """

    def decorate(body: Callable[[dict[str, Any], list[str]], None]) -> Callable[[], None]:
        begun = False  # from then on, an exception is our own mistake
        typed: list[str] = []  # words

        @hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=name)
        def composed(config: DictConfig) -> None:
            nonlocal begun
            sys.argv[1:] = typed  # Lightning starts further processes with them
            try:
                given = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)  # or ${...} in it would count
                assert isinstance(given, list)
                words = [unquoted(str(word)) for word in given]
                values = plain_values(config)
                refuse_other_keys(words, values, name)
                begun = True
                body(values, words)
            except (UserError, HydraException, OmegaConfBaseException) as error:
                # Here, for what leaves this function, Hydra comments on.
                fail(name, one_line(error, name))
            except (MemoryError, RuntimeError) as error:
                if not is_of_memory(error):
                    raise
                print(f"ntm.{name}: stopped: there is not enough memory left; allowed: smaller sizes", file=sys.stderr)
                sys.exit(1)

        def main() -> None:
            nonlocal begun
            begun = False
            os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra prints its own page about an exception
            typed[:] = sys.argv[1:]
            try:
                with ExitStack() as patched:
                    patched.enter_context(watch)
                    patched.enter_context(mock.patch.object(ArgumentParser, "error", lambda _, message: fail(name, message)))
                    # Or options and words would have to be typed in argparse's order.
                    patched.enter_context(mock.patch.object(ArgumentParser, "parse_args", ArgumentParser.parse_intermixed_args))
                    # Or Hydra would compose everything twice, first to see whether hydra.mode says what -m says.
                    patched.enter_context(mock.patch.object(Hydra, "get_mode", return_value=None))
                    if asks_for_help():
                        print(help_of(name))
                        return
                    if sweeps(check is not None):  # commas list values to sweep over
                        assert check is not None
                        number = check(runs_of_sweep(name))
                        if number > 1:  # otherwise they go one after the other, in this process
                            patched.enter_context(mock.patch(LAUNCH, launcher(name, number)))
                    else:
                        sys.argv[1:] = [quoted(word) for word in sys.argv[1:]]
                    composed()
            except Ended as ended:
                print(f"ntm.{name}: stopped by {ended}", file=sys.stderr)
                sys.exit(ended.code)
            except (UserError, HydraException, OmegaConfBaseException) as error:
                fail(name, one_line(error, name))
            except BrokenPipeError:  # who read has seen enough
                os._exit(1)
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


def is_of_memory(error: Exception) -> bool:
    """Whether an exception says that there is no memory left: Python's, torch's for the CPU, torch's for a GPU."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error)


def refuse_other_keys(words: list[str], values: dict[str, Any], name: str) -> None:
    """Raise UserError where a word has added a key that the command does not know, or taken one away."""
    if any(word.startswith(("+", "~")) for word in words):
        known = defaults(name, [])
        unknown = next((key for key in values if key not in known and key not in SHORT), None)
        if unknown is not None:
            raise UserError(f"{unknown}={values[unknown]}: no such key; allowed: {', '.join(known)}")
        missing = next((key for key in known if key not in values), None)
        if missing is not None:
            raise UserError(f"{missing}=null: must be given; allowed: {missing}=<value>")


def runs_of_sweep(name: str) -> Iterator[dict[str, Any]]:
    """The configuration of every run of a sweep, to be looked at before the first one begins; raises what a single run would."""
    words = [word for word in get_args_parser().parse_args().overrides if not word.startswith("hydra")]
    parsed = OverridesParser.create().parse_overrides(words)
    unlisted = (word for word, one in zip(words, parsed) if isinstance(one.value(), Glob) or one.is_interval_sweep())
    odd = next(unlisted, None)
    if odd is not None:
        raise UserError(f"{odd}: cannot be listed; allowed: values with commas, or range(0,3)")
    choices = [list(word.sweep_string_iterator()) if word.is_sweep_override() else [None] for word in parsed]
    count = math.prod(map(len, choices))
    if count > RUNS:
        raise UserError(f"-m: {count:,} runs; allowed: at most {RUNS:,}")
    # Every choice once, before every combination: a wrong one is found soon.
    each = [tuple(values[n % len(values)] for values in choices) for n in range(max(map(len, choices), default=1))]
    for chosen in dict.fromkeys(itertools.chain(each, itertools.product(*choices))):
        pairs = zip(words, parsed, chosen)
        line = [word if value is None else f"{one.get_key_element()}={value}" for word, one, value in pairs]
        values = defaults(name, line)
        refuse_other_keys(line, values, name)
        yield values


def launcher(name: str, number: int) -> Callable[..., list[JobReturn]]:
    """What Hydra's sweeper launches runs with: `number` at once, each a process of its own."""
    own_folder = get_args_parser().parse_args().config_dir

    def launch(_: object, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        beside = [] if own_folder is None else ["--config-dir", own_folder]
        lines = [[*beside, *map(typed, filter_overrides(overrides))] for overrides in job_overrides]
        together(name, named(lines), number)
        return []

    return launch


def typed(word: str) -> str:
    """A word of a sweep as it would be typed for one run: a text of ours without Hydra's quotes."""
    key, _, value = word.partition("=")
    if key not in TEXTS or value in ("", "null"):
        return word
    return f"{key}={OverridesParser.create().parse_override(word).value()}"


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
    if len(line) > LONGEST:  # the key stands at its beginning, what is allowed at its end
        line = f"{line[: LONGEST // 3]} ... {line[-LONGEST // 2 :]}"
    print(f"ntm.{name}: error: {line}", file=sys.stderr)
    sys.exit(2)


def one_line(error: Exception, name: str) -> str:
    """The key, the value and what is allowed, from an exception of ours or of Hydra's."""
    said = " ".join(str(error).split())
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={choice}: no such {group}; allowed: {', '.join(error.options)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read; allowed: key=value, lists as [1,2], odd texts as \"key='value'\""
    if isinstance(error, RecursionError):
        return f"{max(sys.argv[1:], key=len)}: cannot be read; allowed: fewer brackets"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}; allowed: {ALLOWED}"
    known = re.search(r"'([^']*)'", said)
    key = known[1].partition("=")[0].lstrip("+~") if known else ""
    given = next((unquoted(word) for word in sys.argv[1:] if key and word.lstrip("+~").startswith(key)), None)
    if isinstance(error, InterpolationResolutionError):
        given = next((unquoted(word) for word in sys.argv[1:] if "$" in word), None)
        return (
            f"{given or said}: names nothing that is there; allowed: ${{key}} of another key, as ${{seed}}, or \\${{...}} as a text"
        )
    if said.startswith("Multiple values for"):
        group = said.removeprefix("Multiple values for ").partition(".")[0]
        return f"{group}: chosen twice, here and by default; allowed: {group}=<choice> without +"
    if given is None:
        return f"{said}; allowed: {ALLOWED}"
    if said.startswith("Ambiguous value"):
        several = ", or -m for several runs" if name == "train" else ""
        return f"{given}: several values; allowed: one, or a list as [a,b]{several}"
    plain = given.lstrip("+~")
    if "An item is already at" in said or "force-add of config groups" in said:
        return f"{given}: this key is there already; allowed: {plain}"
    if said.startswith("Could not delete"):
        return f"{given}: nothing there to be taken away; allowed: {allowed_beside(name, key)}"
    if key == "turing" and name == "train" and said.startswith("Could not override"):
        return f"{given}: no such key; allowed with task=turing only"
    if said.startswith(("Could not override", "Could not append")):
        return f"{given}: no such key; allowed: {allowed_beside(name, key)}"
    return f"{given}: {said}; allowed: {ALLOWED}"


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
