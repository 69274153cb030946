"""The plan of the house, held: which room may import which, read from the files themselves. No arrow up, no circle."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS = [  # a file may import from its own layer and from those above it in this list
    ["tasks"],
    ["ntm.errors", "ntm.ends", "ntm.files"],
    ["ntm.models"],
    ["ntm.recipe"],
    ["ntm.config"],
    ["ntm.training", "ntm.proofs", "ntm.runs", "ntm.sizes"],
    ["ntm.views", "ntm.named", "ntm.resuming", "ntm.words", "ntm.sweep"],
    ["ntm.command"],
    ["ntm.evaluate", "ntm.certificate"],
    ["ntm.multiplier", "ntm.lockstep"],
    ["ntm.proving"],
    ["ntm.train", "ntm.turing", "ntm.multiply", "ntm.certify"],
    ["ntm.benches", "ntm.studies"],
    ["ntm.bench", "ntm.study"],
]
ANYWHERE = {"ntm"}
"""The package's front, `ntm/__init__.py`: it names what the rooms offer, and no room asks it for anything."""

ONLY = {  # a library -> who may know it
    "hydra": {"ntm.command", "ntm.words"},
    "omegaconf": {"ntm.command"},
    "lightning": {"ntm.training", "ntm.views", "ntm.train", "ntm.benches"},
    "tensorboard": set(),
}


def modules():
    """Every module of ours, by its dotted name."""
    found = {}
    for path in [*(ROOT / "tasks").rglob("*.py"), *(ROOT / "ntm").rglob("*.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(path):
    """Dotted names of what a file imports: `from a import b` means the module a.b where there is one, else a."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in inside}
    return names


def layer(name):
    """The layer of a module and its room."""
    for number, rooms in enumerate(LAYERS):
        for room in rooms:
            if name == room or name.startswith(room + "."):
                return number, room
    raise AssertionError(f"{name}: in no layer")


@pytest.mark.parametrize("name", sorted(MODULES.keys() - ANYWHERE))
def test_no_arrow_runs_up(name):
    number, room = layer(name)
    for other in imported(MODULES[name]) & MODULES.keys():
        above, other_room = layer(other)
        assert above < number or other_room == room, f"{name} imports {other}"


def test_there_is_no_circle():
    arrows = {name: imported(path) & MODULES.keys() for name, path in MODULES.items()}
    done = set()
    while left := {name for name in arrows if name not in done}:
        free = {name for name in left if arrows[name] - {name} <= done}
        assert free, f"a circle among {sorted(left)}"
        done |= free


@pytest.mark.parametrize("name", sorted(MODULES))
def test_libraries_stay_where_they_belong(name):
    for library, rooms in ONLY.items():
        if any(other == library or other.startswith(library + ".") for other in imported(MODULES[name])):
            assert layer(name)[1] in rooms, f"{name} imports {library}"


def test_what_training_and_pictures_never_name():
    for name in ("ntm.training.module", "ntm.views.callbacks", "ntm.views.render", "ntm.evaluate"):
        text = MODULES[name].read_text().lower()
        assert not [word for word in ("head", "slot", "turing") if word in text], name


def test_every_room_is_in_the_contract():
    assert {name for name in MODULES if name not in ANYWHERE} == {name for name in MODULES if name not in ANYWHERE and layer(name)}
