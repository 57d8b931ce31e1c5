"""What a user is told to type installs into the Python that runs, from where this Ciliary came."""

from __future__ import annotations

import json
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest

from ciliary.cortex import installing


class Installed:
    def __init__(self, page: dict | None) -> None:
        self.page = page

    def read_text(self, name):
        assert name == "direct_url.json"
        return None if self.page is None else json.dumps(self.page)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (None, ["ciliary[app]"]),  # of a registry
        ({"url": "file:///w/ciliary-0.2.0-py3-none-any.whl", "archive_info": {}}, ["ciliary[app]"]),
        ({"url": "file:///home/me/my%20ciliary", "dir_info": {"editable": True}}, ["-e", "/home/me/my ciliary[app]"]),
    ],
)
def test_an_extra_comes_from_where_ciliary_came(page, words, monkeypatch):
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(page))
    installing._folder.cache_clear()
    assert shlex.split(installing.install_extra("app")) == [sys.executable, "-m", "pip", "install", *words]
    installing._folder.cache_clear()


def test_what_was_never_installed_is_installed_from_its_sources(monkeypatch, tmp_path):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a python"))
    installing._folder.cache_clear()
    program, *_, flag, where = shlex.split(installing.install_extra("rl"))
    assert (program, flag, where) == (sys.executable, "-e", f"{installing._ROOT}[rl]")
    installing._folder.cache_clear()


def test_no_message_words_it_itself(repository):
    """``pip install`` stands in one function; texts of ``--help``, which pages quote, name the extra."""
    own = Path(installing.__file__).name
    files = [path for room in ("cortex", "envs", "agents", "tuning") for path in (repository / room).rglob("*.py")]
    found = [path.name for path in files if re.search(r"pip install ['\"a-z-]", path.read_text(encoding="utf-8"))]
    assert found == [own]
