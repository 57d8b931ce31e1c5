"""Which code produced a number: versions of the packages that shape it, and the commit when there is one."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("ciliary", "torch", "optuna", "mlflow", "numpy", "gymnasium")
ROOT = Path(__file__).resolve().parents[2]


@cache
def versions() -> dict[str, str]:
    """Package name -> version, plus ``python`` and, inside a git work tree, ``commit`` (12 hex, ``+`` when changed)."""
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
