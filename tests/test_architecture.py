"""Who may know whom, and how long a file may be: read from the sources, never from memory."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOMS = ("cortex", "envs", "agents", "tuning", "scripts")
MAX_LINES = 320
REPOSITORY = Path(__file__).resolve().parents[1]
ROOM_FILES = sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))
ALL_FILES = sorted([*ROOM_FILES, *(REPOSITORY / "tests").rglob("*.py")])


def imported_rooms(source: str, package: str) -> set[str]:
    """Rooms a module imports, wherever in it, also by a relative import or ``import_module("room.x")``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                names = [".".join([*parents, node.module or ""])]
            else:
                names = [node.module or ""]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            names = [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
        found |= {name.removeprefix("ciliary.").split(".")[0] for name in names}
    return found & set(ROOMS)


def to_the_right(room: str, imported: set[str]) -> set[str]:
    return {other for other in imported if ROOMS.index(other) > ROOMS.index(room)}


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("path", ROOM_FILES, ids=relative)
def test_no_room_imports_from_its_right(path):
    room, *_ = relative(path).split("/")
    package = relative(path.parent).replace("/", ".")
    wrong = to_the_right(room, imported_rooms(path.read_text(encoding="utf-8"), package))
    assert not wrong, f"{relative(path)} imports {sorted(wrong)}; the order is {' <- '.join(ROOMS)}"


@pytest.mark.parametrize("path", ALL_FILES, ids=relative)
def test_no_file_is_two_rooms(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= MAX_LINES, f"{relative(path)} has {n_lines} lines, more than {MAX_LINES}: split it by role"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_visited(room):
    assert any(relative(path).startswith(f"{room}/") for path in ROOM_FILES)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("import ciliary.agents.controllers.search", {"agents"}),
        ("from ciliary.tuning import figures", {"tuning"}),
        ("def f():\n    from ciliary.agents.base import x", {"agents"}),
        ("import importlib\nimportlib.import_module('scripts.accommodate')", {"scripts"}),
        ("from ciliary.cortex import Cortex", set()),
        ("from . import base", set()),
        ("from .base import x", set()),
    ],
)
def test_the_reader_sees_every_kind_of_import(line, wrong):
    assert to_the_right("envs", imported_rooms(line, "envs")) == wrong
