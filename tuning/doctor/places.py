"""Where results go and caches lie: whether there is room, and how much they hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ciliary.tuning.doctor.finding import Finding, Level
from ciliary.tuning.doctor.settings import DoctorSettings
from ciliary.tuning.runs.places import NotWritable, existing, try_place

_LITTLE, _TOO_LITTLE = 10**9, 5 * 10**7  # bytes free: a session of ten photographs keeps some 30 MB
_UNITS = ("B", "kB", "MB", "GB", "TB")
_MOST_FILES = 20_000  # that are counted: a look takes a moment, not minutes


def results(settings: DoctorSettings) -> Iterator[Finding]:
    """The folder of results: whether it can be written into, what it holds, what is free."""
    out = settings.out
    free = shutil.disk_usage(existing(out)).free
    values = {"path": str(out.absolute()), "free_bytes": free}
    words = f"{out}: {holds(out)}" if out.is_dir() else f"{out}: made by the first session"
    try:
        try_place(out)
    except NotWritable as error:
        yield Finding("results", str(error), Level.BROKEN, "--out DIR", values)
        return
    level = Level.BROKEN if free < _TOO_LITTLE else Level.NOTE if free < _LITTLE else Level.WELL
    do = "" if level is Level.WELL else "make room, or give --out DIR on another disk"
    yield Finding("results", f"{words}, can be written into, {in_words(free)} free", level, do, values)


def caches(settings: DoctorSettings) -> Iterator[Finding]:
    """What was fetched or fitted once and is kept outside of the project."""
    del settings
    for name, (folder, purpose) in folders().items():
        values = {"name": name, "path": str(folder)}
        text = holds(folder) if folder.is_dir() else "empty"
        yield Finding("caches", f"{name}: {text}, {folder} ({purpose})", values=values)


def folders() -> dict[str, tuple[Path, str]]:
    """Name of a cache -> where it lies, and what is in it."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home / "huggingface") / "hub"
    return {
        "projections": (
            Path(os.environ.get("CILIARY_PROJECTIONS") or home / "ciliary" / "projections"),
            "of backbones, fitted by `ciliary train features`",
        ),
        "torch.hub": (Path(os.environ.get("TORCH_HOME") or home / "torch") / "hub", "--depth midas, hub:REPO:MODEL"),
        "huggingface": (Path(hub), "--features NAME: weights of timm's models"),
    }


def holds(folder: Path) -> str:
    """``12.3 MB in 40 files``; of a large one what was counted."""
    n_bytes = n_files = 0
    for where, _, names in os.walk(folder):
        for name in names:
            n_files += 1
            n_bytes += _size(Path(where, name))
        if n_files > _MOST_FILES:
            return f"more than {in_words(n_bytes)} in {n_files} files"
    return f"{in_words(n_bytes)} in {n_files} files"


def in_words(n_bytes: float) -> str:
    """``12.3 MB``."""
    power = next((i for i in range(len(_UNITS)) if n_bytes < 1000 ** (i + 1)), len(_UNITS) - 1)
    value = n_bytes / 1000**power
    return f"{value:.0f} {_UNITS[power]}" if power == 0 or value >= 100 else f"{value:.1f} {_UNITS[power]}"


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # gone in between
        return 0
