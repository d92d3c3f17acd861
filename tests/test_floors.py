"""Imports go down the floors of the house only, no room imports in a circle, and no file grows out of hand."""

import ast
import re
import sys
from pathlib import Path

import pytest

NO_NOUN = re.compile(
    r"^    [a-z]\w*: (?:of|from|to|at|in|as|for|by|on|with|which|where|how|when|what|after|that|such|one)\b.*", re.M
)
PACKAGE = Path(__file__).parent.parent / "lit_hardcl"

FLOORS = {
    "errors": -1,  # known to all
    "earlier": -1,
    "stopping": -1,
    "version": -1,
    "functional": 0,
    "theory": 0,
    "views": 0,
    "plots": 0,
    "contract": 1,
    "files": 1,
    "schedules": 1,
    "trust": 1,
    "distributed": 1,
    "hardness": 2,
    "models": 2,
    "data": 2,
    "losses": 3,
    "evaluation": 3,
    "modules": 4,
    "runs": 4,
    "profiling": 4,
    "callbacks": 5,
    "compare": 5,
    "cli": 6,
    "__main__": 7,
}
NEVER = {("callbacks", "modules"), ("runs", "modules"), ("data", "models")}  # though they would go down or sideways
NUMBERS = {"torch", "numpy", "scipy", "jaxtyping", *sys.stdlib_module_names}
THIRD_PARTY = {  # rooms that may import these packages only
    "functional": NUMBERS - {"numpy", "scipy"},
    "theory": NUMBERS - {"torch", "jaxtyping"},
    "views": NUMBERS - {"scipy"},
}
ONLY_IN = {  # packages, and the places that may import them: a floor and those above, rooms, or files
    "lightning": {4, "data/datamodule.py"},
    "lightning.pytorch.loggers": {"runs/logging.py", "profiling.py"},
    "wandb": {"runs/logging.py"},
    "matplotlib": {"plots"},
    "jsonargparse": {"cli"},
    "importlib": set(),
}


BY_STRING = ("import_module", "__import__", "import_object")


def imports(source: str) -> list[str]:
    """Modules that a source imports, by full name, relative imports excepted (the house has none)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the floor"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in BY_STRING:
            found += [str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)]
    return found


def room(module: str) -> str:
    return module.split(".")[1]


def upward_imports(own_room: str, source: str, file: str = "") -> list[str]:
    """Imports of a file in ``own_room`` that do not go down, or are not for its room."""
    wrong = []
    for name in imports(source):
        if name == "lit_hardcl":
            wrong.append(name)
        if not name.startswith("lit_hardcl."):
            packages = [package for package in ONLY_IN if f"{name}.".startswith(f"{package}.")]
            allowed = ONLY_IN[max(packages, key=len)] if packages else {FLOORS[own_room]}
            floors = [place for place in allowed if isinstance(place, int) and place <= FLOORS[own_room]]
            if (not floors and not {own_room, file} & allowed) or (
                own_room in THIRD_PARTY and name.split(".")[0] not in THIRD_PARTY[own_room]
            ):
                wrong.append(name)
            continue
        other = room(name)
        if other != own_room and (FLOORS.get(other, 9) >= FLOORS[own_room] or (own_room, other) in NEVER):
            wrong.append(name)
    return wrong


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Files that import each other in a circle, if there are any."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        found = next((c for other in sorted(graph.get(name, ())) if (c := visit(other, [*path, name]))), [])
        done.add(name)
        return found

    return next((c for name in sorted(graph) if (c := visit(name, []))), [])


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    own_room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert upward_imports(own_room, path.read_text(), str(path.relative_to(PACKAGE))) == []


@pytest.mark.parametrize(
    ("own_room", "planted"),
    [
        ("functional", "from lit_hardcl.losses import DifficultPairLoss"),
        ("functional", "import lightning.pytorch"),
        ("theory", "import torch"),
        ("callbacks", "from lit_hardcl.modules import SimCLR"),
        ("evaluation", "from lit_hardcl import cli"),
        ("callbacks", "import lit_hardcl"),
        ("callbacks", "from lit_hardcl import SimCLR"),
        ("models", "def late():\n    from lit_hardcl.losses import DCLLoss"),
        ("views", "import_module('lit_hardcl.data')"),
        ("hardness", "import lightning.pytorch as pl"),
        ("callbacks", "from lightning.pytorch.loggers import WandbLogger"),
        ("callbacks", "import wandb"),
        ("evaluation", "from matplotlib.figure import Figure"),
        ("runs", "import jsonargparse"),
        ("cli", "import importlib"),
    ],
)
def test_a_planted_upward_import_is_seen(own_room, planted):
    assert upward_imports(own_room, planted) != []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_opens_with_what_it_holds_and_stays_short(path):
    text = path.read_text()
    first_line = (ast.get_docstring(ast.parse(text)) or "").splitlines()[:1]
    assert first_line, "a file opens with one line saying what it holds"
    assert len(text.splitlines()) <= 250


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_an_argument_is_told_as_a_noun_or_with_whether(path):
    nodes = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    ]
    assert [line for node in nodes for line in NO_NOUN.findall(ast.get_docstring(node) or "")] == []


def test_the_rooms_of_the_house_are_the_floors():
    rooms = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES}
    assert rooms <= FLOORS.keys()


def test_no_file_imports_itself_through_others():
    names = {
        f"lit_hardcl.{'.'.join(p.relative_to(PACKAGE).with_suffix('').parts)}".removesuffix(".__init__") for p in FILES
    }
    graph = {}
    for path in FILES:
        if path.name != "__init__.py":  # which collects what its room has
            own = "lit_hardcl." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            used = {name if name in names else name.rpartition(".")[0] for name in imports(path.read_text())}
            graph[own] = used & names
    assert circle(graph) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == ["a", "b", "c"]


def test_a_file_name_says_which_file_it_is():
    names = [path.name for path in FILES if path.name != "__init__.py"]
    twice = {name for name in names if names.count(name) > 1}
    assert twice <= {"spacl.py", "theory.py"}, "but a method's loss and module; a command and the figures"
