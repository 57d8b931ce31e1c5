"""Who may know whom, who goes round in circles, and how long a file may be: read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOMS = ("cortex", "envs", "agents", "tuning", "scripts")
MAX_LINES = 320
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
REPOSITORY = Path(__file__).resolve().parents[1]
ROOM_FILES = sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))
ALL_FILES = sorted([*ROOM_FILES, *(REPOSITORY / "tests").rglob("*.py")])


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def module_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


parsed = cache(ast.parse)


@cache
def statements(source: str, *, at_load: bool = False) -> tuple[ast.AST, ...]:
    """Imports, and calls where one may import: wherever in a module, or only those that run when it is loaded."""
    may_call = "import_module" in source or "__import__" in source  # else expressions, most of it all, are passed over
    found, left = [], [*parsed(source).body]
    while left:
        node = left.pop()
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if at_load and (is_typing or isinstance(node, FUNCTIONS)):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call)):
            found.append(node)
        left += (child for child in ast.iter_child_nodes(node) if may_call or not isinstance(child, ast.expr))
    return tuple(found)


def imported(source: str, package: str, *, at_load: bool = False) -> Iterator[str]:
    """Names of ours that a module imports, without ``ciliary.``: wherever in it, or only what runs when it is loaded.

    Relative imports and ``import_module("room.x")`` count; what is under ``if TYPE_CHECKING`` does not run.
    """
    for node in statements(source, at_load=at_load):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1] if node.level else [])
            module = ".".join(part for part in (base, node.module) if part)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__"):
                names = [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
        yield from (name.removeprefix("ciliary.") for name in names)


def rooms_of(source: str, package: str) -> set[str]:
    return {name.split(".")[0] for name in imported(source, package)} & set(ROOMS)


def to_the_right(room: str, found: set[str]) -> set[str]:
    return {other for other in found if ROOMS.index(other) > ROOMS.index(room)}


def test_no_room_imports_from_its_right():
    wrong = []
    for path in ROOM_FILES:
        room, package = relative(path).split("/")[0], relative(path.parent).replace("/", ".")
        found = to_the_right(room, rooms_of(path.read_text(encoding="utf-8"), package))
        wrong += [f"{relative(path)} imports {other}" for other in sorted(found)]
    assert not wrong, f"the order is {' <- '.join(ROOMS)}"
    assert {relative(path).split("/")[0] for path in ROOM_FILES} == set(ROOMS)


def test_no_file_is_two_rooms():
    n_lines = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in ALL_FILES}
    assert not {name: n for name, n in n_lines.items() if n > MAX_LINES}, f"more than {MAX_LINES} lines: split by role"


def test_no_import_goes_round_in_a_circle():
    modules = {module_of(path): path for path in ROOM_FILES}
    edges = {
        name: {
            target
            for target in imported(
                path.read_text(encoding="utf-8"), module_of(path.parent / "__init__.py"), at_load=True
            )
            if target in modules and target != name and modules[target].name != "__init__.py"
        }
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in sorted(edges[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in sorted(modules):
        visit(name, ())


def test_sources_name_rooms_as_they_are_installed():
    """``import envs`` would find a folder of the repository here, and somebody else's anywhere else."""
    bare = [
        f"{relative(path)}:{node.lineno}"
        for path in ALL_FILES
        for node in statements(path.read_text(encoding="utf-8"))
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not getattr(node, "level", 0)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.split(".")[0] in ROOMS[:-1]
    ]
    assert not [place for place in bare if "fixtures/" not in place]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("import ciliary.agents.search", {"agents"}),
        ("from ciliary.tuning import figures", {"tuning"}),
        ("def f():\n    from ciliary.agents.base import x", {"agents"}),
        ("import importlib\nimportlib.import_module('ciliary.tuning.x')", {"tuning"}),
        ("from ciliary.cortex import Cortex", set()),
        ("from . import base", set()),
        ("from .base import x", set()),
    ],
)
def test_the_reader_sees_every_kind_of_import(line, wrong):
    assert to_the_right("envs", rooms_of(line, "envs")) == wrong
