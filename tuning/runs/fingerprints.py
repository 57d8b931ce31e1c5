"""A mark of the code that percepts and episodes depend on, so that nothing old is mistaken for new."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ciliary.tuning.runs.versions import ROOT

ROOMS = ("cortex", "envs", "agents")


@cache
def code_mark(root: Path = ROOT, rooms: tuple[str, ...] = ROOMS) -> str:
    """12 hex digits of the code in ``rooms`` of ``root``; comments, docstrings and layout do not count."""
    return _mark([path for room in rooms for path in sorted((root / room).rglob("*.py"))], root)


@cache
def episode_mark(module: str, root: Path = ROOT) -> str:
    """The same for the episodes of one controller: cortex, envs, the loop, and what its module imports of agents.

    A new controller then does not make old what the others did.

    Args:
        module: where the controller's class is, such as ``ciliary.agents.controllers.search``.
        root: of the rooms.
    """
    paths: set[Path] = set()
    names = ["ciliary.agents.episode", module]
    while names:
        path = root / f"{names.pop().removeprefix('ciliary.').replace('.', '/')}.py"
        if path in paths or not path.is_file():
            continue
        paths.add(path)
        names += [name for name in _imported(path) if name.startswith("ciliary.agents.")]
    shared = [path for room in ("cortex", "envs") for path in (root / room).rglob("*.py")]
    return _mark(sorted([*shared, *paths]), root)


def _mark(paths: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                del node.body[0]
        digest.update(f"{path.relative_to(root).as_posix()}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:12]


def _imported(path: Path) -> list[str]:
    """Modules a file names in its imports, wherever they stand; ``from a import b`` may mean ``a.b``."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found
