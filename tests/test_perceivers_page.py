"""The page on one's own parts is run: its files are written, its programs executed, its commands understood."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def blocks(repository):
    text = (repository / "docs" / "perceivers.md").read_text(encoding="utf-8")
    return [(kind, body) for kind, body in BLOCK.findall(text)]


@pytest.fixture(scope="module")
def folder(blocks, tmp_path_factory) -> Path:
    """A user's folder with the files of the page in it."""
    folder = tmp_path_factory.mktemp("user")
    for kind, body in blocks:
        name = re.match(r"# (\w+\.py)\n", body)
        if kind == "python" and name:
            with (folder / name[1]).open("a", encoding="utf-8") as file:
                file.write(body)
    return folder


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_its_programs_run(blocks, folder):
    programs = [body for kind, body in blocks if kind == "python" and not body.startswith("# ")]
    assert len(programs) >= 6
    (folder / "programs.py").write_text("\n".join(programs), encoding="utf-8")
    run(folder, "programs.py")


@pytest.mark.slow
def test_its_exam_is_passed(folder):
    run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py")


def test_its_links_lead_to_its_headings(repository):
    text = (repository / "docs" / "perceivers.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", line[3:]).lower().replace(" ", "-") for line in re.findall("^## .*$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\(#([^)]+)\)", text)) <= headings


#: Reads each command as the script does, and does all that a session does before the first image.
CHECK = """
import shlex
from types import SimpleNamespace
from ciliary.tuning.cli import app
from ciliary.tuning.sessions.check import check

seen = []
job = SimpleNamespace(accommodate=lambda settings: seen.append(settings) or 0)
app.importlib = SimpleNamespace(import_module=lambda name: job)
for line in LINES:
    assert app.door("accommodate")(shlex.split(line)) == 0, line
for settings in seen:
    check(settings)
print(len(seen))
"""


@pytest.mark.slow
def test_its_commands_are_understood_and_what_they_name_is_there(blocks, folder):
    lines = [body.removeprefix("python scripts/accommodate.py ") for kind, body in blocks if not kind]
    assert sum("mine:" in line for line in lines) == 6
    (folder / "commands.py").write_text(f"LINES = {lines}\n{CHECK}", encoding="utf-8")
    assert run(folder, "commands.py").split() == [str(len(lines))]
