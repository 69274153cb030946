"""YAML files of texts, as strangers write them: whatever is wrong with one is told in one line."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

LARGEST = 10_000_000
"""Bytes of a file that is still read."""


class Texts(yaml.BaseLoader):
    """YAML with every scalar left as text, `0110` and `no` too; a key given twice and aliases, which can multiply, are refused."""

    def compose_node(self, parent, index):
        """A node; raises ComposerError for an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias; write it out", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        """A mapping; raises ConstructorError where a key stands twice."""
        found = super().construct_mapping(node, deep=deep)
        if len(found) < len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return found


def mapping(path: Path, keys: Iterable[str]) -> Mapping[str, Any]:
    """What a YAML file holds, a mapping with some of the keys; raises ValueError."""
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size > LARGEST):
            raise ValueError(f"is no file of at most {LARGEST:,} bytes; allowed: a YAML file with a table")
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=Texts)  # a BaseLoader: texts only
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}); allowed: a YAML file with a table") from None
    except UnicodeDecodeError:
        raise ValueError("is not text; allowed: a YAML file with a table") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ValueError(f"is not YAML: line {line}: {error.problem}; allowed: a YAML file with a table") from None
    except (yaml.YAMLError, RecursionError):
        raise ValueError("is not YAML: odd characters, or thousands of brackets; allowed: a YAML file with a table") from None
    if not isinstance(found, dict):
        raise ValueError(f"holds no mapping; allowed: the keys {', '.join(keys)}")
    return found
