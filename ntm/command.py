"""The command line of train and evaluate: the only file that knows Hydra. One line per user's mistake, exit code 2."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ntm.config import UserError

HERE = Path(__file__).resolve().parent
CONFIG_DIR = next(folder for folder in (HERE.parent / "configs", HERE / "configs") if (folder / "train.yaml").exists())


def command(name: str) -> Callable[[Callable[[dict[str, Any], list[str]], None]], Callable[[], None]]:
    """Decorate `body(values, overrides)` to be run with `configs/<name>.yaml` and the command line's overrides.

    `values` is the composed configuration as plain dicts and lists.
    """

    def decorate(body: Callable[[dict[str, Any], list[str]], None]) -> Callable[[], None]:
        @hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=name)
        def composed(config: DictConfig) -> None:
            values = OmegaConf.to_container(config, resolve=True)
            assert isinstance(values, dict)
            body({str(key): value for key, value in values.items()}, list(HydraConfig.get().overrides.task))

        def main() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra prints its own page about an exception
            try:
                composed()
            except (UserError, HydraException, OmegaConfBaseException) as error:
                print(f"ntm.{name}: error: {one_line(error)}", file=sys.stderr)
                sys.exit(2)

        return main

    return decorate


def one_line(error: Exception) -> str:
    """The key, the value and what is allowed, from an exception of ours or of Hydra's."""
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={choice}: no such {group}; allowed: {', '.join(error.options)}"
    refused = re.match(r"Could not (?:override|append to config) '([^']*)'", str(error))
    if refused:
        given = next((text for text in sys.argv[1:] if text.lstrip("+~").startswith(refused[1])), refused[1])
        return f"{given}: no such key; `python -m {module()} --cfg job` prints the keys"
    return " ".join(str(error).split())


def module() -> str:
    """The module that was started, for messages that name a command."""
    return f"ntm.{Path(sys.argv[0]).stem.removeprefix('ntm-')}"
