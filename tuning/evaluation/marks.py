"""A mark of the code that percepts and episodes depend on, so that nothing old is mistaken for new."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from tuning.versions import ROOT

ROOMS = ("cortex", "envs", "agents")


@cache
def code_mark(root: Path = ROOT, rooms: tuple[str, ...] = ROOMS) -> str:
    """12 hex digits of the code in ``rooms`` of ``root``; comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((root / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if (
                    isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
                    and ast.get_docstring(node) is not None
                ):
                    del node.body[0]
            digest.update(f"{path.relative_to(root).as_posix()}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:12]
