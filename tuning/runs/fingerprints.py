"""What a number depends on, as marks that can be kept with it: code, versions, cortex, learned weights.

So that nothing old is mistaken for new. Imports nothing heavy.
"""

from __future__ import annotations

import ast
import hashlib
import platform
import subprocess
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

PACKAGES = ("ciliary", "torch", "optuna", "mlflow", "numpy", "gymnasium")
ROOMS = ("cortex", "envs", "agents")
ROOT = Path(__file__).resolve().parents[2]


def digest(data: bytes) -> str:
    """First twelve hex digits of SHA-256: enough to tell a session's images and settings apart."""
    return hashlib.sha256(data).hexdigest()[:12]


# --- packages


@cache
def versions() -> dict[str, str]:
    """Package name -> version, plus ``python`` and, inside a git work tree, ``commit`` (12 hex, ``+`` when changed)."""
    from importlib import metadata  # a tenth of the time of a page of help

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit and Path(_git("rev-parse", "--show-toplevel")) == ROOT:  # not the commit of a tree we are installed in
        found["commit"] = commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    return found


def _git(*arguments: str) -> str:
    """Answer of a git command run where this package lives; empty when there is no git, no work tree, no answer."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


# --- code


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
    total = hashlib.sha256()
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                del node.body[0]
        total.update(f"{path.relative_to(root).as_posix()}\n{ast.dump(tree)}\n".encode())
    return total.hexdigest()[:12]


def _imported(path: Path) -> list[str]:
    """Modules a file names in its imports, wherever they stand; ``from a import b`` may mean ``a.b``."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


# --- the cortex


def cortex_options(
    *,
    depth: str,
    features: str,
    features_weights: str | None = None,
    learned: Collection[str] = (),
    own_stages: Collection[str] = (),
    inherited: str = "none",
    inherited_weights: str | None = None,
    contours: str | None = None,
) -> dict[str, Any]:
    """Keyword arguments of a cortex, in JSON types.

    Nothing is said of learned or inherited stages, of one's own (``m2=mine:M2``) or of files of weights, where there
    are none, so that what was measured before there were any keeps its name.
    """
    from ciliary.cortex.stages import weights

    options: dict[str, Any] = {"depth": depth, "features": features}
    options |= {} if features_weights is None else {"features_weights": features_weights}
    options |= {"learned": list(weights.stage_names(learned))} if learned else {}
    options |= {"inherited": inherited} if inherited != "none" else {}
    options |= {"inherited_weights": inherited_weights} if inherited_weights else {}
    options |= {"contours": contours} if contours else {}
    return options | dict(text.split("=", 1) for text in own_stages)


def learned_mark(learned: Collection[str]) -> str:
    """The learned stages and 16 hex digits of the file they come from; empty without any.

    Raises:
        FileNotFoundError, ValueError: as :func:`ciliary.cortex.stages.weights.load_stages`.
    """
    if not learned:
        return ""
    from ciliary.cortex.stages import weights

    names = weights.stage_names(learned)
    mark = _content(weights.SHIPPED)
    _load_learned(names, mark)
    return f"{','.join(names)} {mark}"


def features_mark(features: str, weights: str | None = None) -> str:
    """The backbone's name and a mark of its projection (fitted anew it has other axes); empty without a backbone.

    Raises:
        ValueError: no such backbone.
        FileNotFoundError: no such file of weights.
    """
    if features == "none":
        return ""
    from ciliary.cortex.cues.pretrained import check_name
    from ciliary.cortex.cues.projection import file_mark, find_projection

    check_name(features)
    path = find_projection(features, weights)
    return f"{path.stem.removeprefix('trunk_')} {file_mark(path) if path.is_file() else 'without a projection'}"


def inherited_mark(kind: str, weights: str | None = None) -> str:
    """16 hex digits of the file of the inherited stages; empty for ``none``.

    Raises:
        FileNotFoundError, ValueError: as :func:`ciliary.cortex.stages.inherited.load_inherited`.
    """
    if kind == "none":
        return ""
    from ciliary.cortex.stages import inherited

    mark = _content(inherited.shipped(kind) if weights is None else Path(weights))
    _load_inherited(kind, weights, mark)
    return mark


def _content(path: Path) -> str:
    """16 hex digits of a file; empty where there is none: whoever loads it says so."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


# Better now than in a worker: is what is asked for there? Once for a content: to make the stages takes a quarter of a
# second, and a session asks for its mark with every image.


@cache
def _load_learned(names: tuple[str, ...], mark: str) -> None:
    from ciliary.cortex.stages import weights

    weights.load_stages(names)


@cache
def _load_inherited(kind: str, path: str | None, mark: str) -> None:
    from ciliary.cortex.stages import inherited

    inherited.load_inherited(kind, path)


def depth_mark(depth: str) -> str:
    """What numbers depend on of a depth cue that can change under its name: one's own, or the learned one; else empty.

    Raises:
        ValueError: as :func:`ciliary.cortex.loading.load_object`.
    """
    from ciliary.cortex.loading import names_object, object_mark

    if depth == "learned":
        from ciliary.cortex.cues import learned_depth  # brings torch

        return f"{depth} {hashlib.sha256(learned_depth.SHIPPED.read_bytes()).hexdigest()[:16]}"
    return object_mark(depth, what="depth") if names_object(depth) else ""


def described(options: Mapping[str, Any]) -> str:
    """Options in words: ``depth none, features none, learned m2 m5``."""
    words = {name: " ".join(value) if isinstance(value, list) else value for name, value in options.items()}
    return ", ".join(f"{name} {value}" for name, value in words.items())
