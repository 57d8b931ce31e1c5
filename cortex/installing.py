"""How what is missing is installed here: into this Python, from where this Ciliary came."""

from __future__ import annotations

import json
import shlex
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

NAME = "ciliary"
_ROOT = Path(__file__).resolve().parents[1]


def pip_install(*words: str) -> str:
    """The command that has this Python's own pip install something, for a shell."""
    return shlex.join([sys.executable or "python", "-m", "pip", "install", *words])


def install_extra(extra: str) -> str:
    """The command that brings an extra: from the folder of sources where Ciliary is these, else by its name."""
    folder = _folder()
    return pip_install(f"{NAME}[{extra}]") if folder is None else pip_install("-e", f"{folder}[{extra}]")


def editable_sources(ours: metadata.Distribution) -> Path | None:
    """The folder of an editable install; None of a wheel."""
    page = json.loads(ours.read_text("direct_url.json") or "{}")
    if not page.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(page["url"]).path))


@cache
def _folder() -> Path | None:
    """Of the sources; None where Ciliary was installed as a wheel."""
    try:
        return editable_sources(metadata.distribution(NAME))
    except metadata.PackageNotFoundError:  # it runs from its sources
        return _ROOT
