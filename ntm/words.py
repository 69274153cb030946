"""The words of a command line before Hydra reads them: which ones it may be given, and one line for the others."""

import re
import sys
from pathlib import Path

from hydra._internal.utils import get_args_parser

from ntm.errors import UserError

HERE = Path(__file__).resolve().parent
CONFIG_DIR = next(folder for folder in (HERE.parent / "configs", HERE / "configs") if (folder / "train.yaml").exists())

TEXTS = (
    *("turing", "machine", "input", "simulate", "run", "reference", "resume", "run_dir", "export", "invariant", "json", "png"),
    *("a", "b", "clock", "folder", "page", "on", "pytorch_ntm"),
)
"""Keys that are texts whatever they look like: `input=0110` is no number, `input=1,0` no list."""

WORD, TEXT = 20_000, 1_000_000
"""Characters of a word that are still read, and of one whose value is a text."""

ALLOWED = "key=value, group=choice, -m, --cfg job, --config-dir <folder>"
SWEEPING = r"hydra/(sweeper|launcher)|hydra\.(sweep|sweeper|launcher)\."
"""Keys of Hydra's own that mean something here, and only to a sweep."""

LIGHTNINGS = r"hydra\.(run\.dir=\"\.\"|job\.name=train_ddp_process_\d+|output_subdir=null)"
"""What Lightning adds to the words of the further processes that it starts."""

OPTIONAL = ("experiment", "debug", "")
"""Groups of which nothing need be chosen."""


def asks_for_help() -> bool:
    """Whether the command line does."""
    return bool(get_args_parser().parse_known_intermixed_args(sys.argv[1:])[0].help)


def help_of(name: str) -> str:
    """What a command's own file says of it and of its keys, and the choices of every group that it has."""
    said: list[str] = []
    groups: list[str] = []
    for line in (CONFIG_DIR / f"{name}.yaml").read_text().partition("\nhydra:")[0].splitlines():
        chosen = re.match(r"  - (?:optional )?(\w+):", line)
        if chosen is not None:
            groups.append(chosen[1])
        elif not line.startswith(("defaults:", "  - ")):
            said.append(line.removeprefix("# "))
    said += [f"\n{group}=<one of> {', '.join(choices_of(group))}" for group in groups]
    return "\n".join([*said, "\n--cfg job prints every key, as these words have it."])


def choices_of(group: str) -> list[str]:
    """The names of a group's files."""
    return sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))


def sweeps(may: bool) -> bool:
    """Whether the command line asks for several runs; raises UserError where Hydra would make something odd of its words."""
    options, unknown = get_args_parser().parse_known_intermixed_args(sys.argv[1:])
    for option in ("config_name", "config_path", "experimental_rerun", "run", "shell_completion", "package"):
        if getattr(options, option):
            raise UserError(f"--{option.replace('_', '-')}: of no use here; allowed: {ALLOWED}")
    if unknown:
        raise UserError(f"{unknown[0]}: no such option; allowed: {ALLOWED}")
    if options.config_dir is not None and not Path(options.config_dir).is_dir():
        raise UserError(f"--config-dir {options.config_dir}: no such folder; allowed: one with choices as configs/ has")
    if options.multirun and not may:
        raise UserError("-m: only ntm.train sweeps; allowed: one command line for each run")
    for word in options.overrides:
        refuse_odd(word)
        key = word.lstrip("+~").partition("=")[0]
        if key.startswith("hydra") and not (options.multirun and re.match(SWEEPING, key)) and not re.fullmatch(LIGHTNINGS, word):
            raise UserError(f"{word}: of no use here; allowed: keys of the command, and run_dir=<folder> to say where a run goes")
        if word.startswith("~") and not may:
            raise UserError(f"{word}: cannot be taken away; allowed: {key}=<value>")
        if may:  # no other command has groups
            check_choice(word, options.config_dir)
    return bool(options.multirun)


def refuse_odd(word: str) -> None:
    """Raise UserError where a word has no key, is no text, or is too long to be read."""
    if not word.lstrip("+~").partition("=")[0]:
        raise UserError(f"{word}: cannot be read; allowed: key=value")
    most = TEXT if word.partition("=")[0] in TEXTS else WORD
    if len(word) > most:
        raise UserError(f"{word[:80]}...: {len(word):,} characters; allowed: at most {most:,}")
    if "\0" in word or any(0xD800 <= ord(character) < 0xE000 for character in word):
        raise UserError(f"{word}: no text; allowed: UTF-8 without null characters")


def check_choice(word: str, own_folder: str | None) -> None:
    """Raise UserError where a group's choice is none of its files: Hydra would raise a bare ValueError, or say nothing."""
    group, _, choice = word.lstrip("+~").partition("=")
    choices = choices_of(group) if re.fullmatch(r"\w+", group) else []
    if not choices:
        return
    allowed = f"allowed: {', '.join(choices)}"
    if word.startswith("~") and group not in OPTIONAL:
        raise UserError(f"{word}: must be given; {allowed}")
    if group not in OPTIONAL and choice in ("", "null"):
        raise UserError(f"{word}: must be given; {allowed}")
    # A recipe is optional: Hydra would take none at all for one that is not there.
    missing = group == "recipe" and set(choice.split(",")) - set(choices) and own_folder is None
    if missing or re.search(r"[$\[{(]|(^|,)[-+.\d]", choice):
        raise UserError(f"{word}: no such {group}; {allowed}")
