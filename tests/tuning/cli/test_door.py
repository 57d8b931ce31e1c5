"""The last door of every command: no place is missed, no traceback is shown, no text and no reader stops it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from ciliary.envs.data.sources import PassedOver
from ciliary.tuning.cli import app, door
from ciliary.tuning.cli.exit_codes import NOTHING, STOPPED
from ciliary.tuning.gaze.settings import GazeSettings
from ciliary.tuning.runs.files import NotWritable, check_writable, try_place


def never(settings):
    raise AssertionError("the work began")


#: What they write, a browser asks for, or MLflow.
WRITES_NOTHING = ("open", "ui")


@pytest.mark.parametrize("command", [name for name in app.COMMANDS if name not in WRITES_NOTHING])
def test_every_place_of_every_command_is_tried(command):
    """A new command with a folder of another name would go untried."""
    kind = app.COMMANDS[command][0]
    asked = {"out", "save", "store"} & {field.name for field in fields(kind)}
    assert "out" in asked
    assert ("FILE" in str(get_type_hints(kind, include_extras=True)["out"])) == kind.out_is_file


@pytest.mark.parametrize("flag", ["out", "save"])
def test_a_place_that_cannot_be_had_is_said_before_the_work(tmp_path, capsys, flag):
    (tmp_path / "file").write_text("mine")
    settings = GazeSettings(**{"out": tmp_path / "free", flag: tmp_path / "file" / "below"})
    assert door.run_job("gaze", never, settings) == NOTHING
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"gaze: cannot write into {tmp_path / 'file' / 'below'}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_place_that_takes_names_and_nothing_else_is_none(tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("ciliary.tuning.runs.files.tempfile.TemporaryFile", lambda **words: Full())
    for tried in (check_writable, try_place):
        with pytest.raises(NotWritable, match="No space left on device"):
            tried(tmp_path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("two\nlines"), "RuntimeError: two lines"),
        (MemoryError(), "MemoryError"),
        (KeyError("x"), "KeyError: 'x'"),
        (OSError(28, "No space left on device", "/x"), "OSError: [Errno 28] No space left on device: '/x'"),
        (ValueError("postgresql://me:p@ss/word@host/x"), "ValueError: postgresql://me:***@host/x"),
    ],
)
def test_whatever_fails_is_one_line(error, words, tmp_path, capsys, monkeypatch):
    def job(settings):
        raise error

    settings = GazeSettings(out=tmp_path)
    assert door.run_job("gaze", job, settings) == NOTHING
    assert capsys.readouterr().err == f"gaze: {words}\n"
    monkeypatch.setenv(door.TRACEBACK, "1")
    with pytest.raises(type(error)):
        door.run_job("gaze", job, settings)


def test_a_stop_is_one_line_too(tmp_path, capsys):
    def job(settings):
        raise KeyboardInterrupt

    assert door.run_job("gaze", job, GazeSettings(out=tmp_path)) == STOPPED
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_was_passed_over_is_said_as_other_complaints_are(tmp_path, capsys):
    def job(settings):
        warnings.warn("2 pictures were passed over", PassedOver, stacklevel=1)
        return 0

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert door.run_job("gaze", job, GazeSettings(out=tmp_path)) == 0
    assert capsys.readouterr().err == "gaze: 2 pictures were passed over\n"


SPOKEN = """
import sys
from ciliary.tuning.cli import door
door.be_lenient()
for _ in range(int(sys.argv[1])):
    print("\\u5bb6\\u65cf \\U0001f600 \\udce9 caf\\u00e9", flush=True)
print("the work went on", file=sys.stderr)
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "ascii:surrogateescape"])
def test_no_locale_stops_a_name(encoding):
    done = subprocess.run(
        [sys.executable, "-c", SPOKEN, "1"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr.decode().strip()) == (0, "the work went on")
    assert b"caf" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="pipes and devices of Linux")
def test_a_reader_that_has_gone_stops_nothing():
    ours = subprocess.Popen(
        [sys.executable, "-c", SPOKEN, "20000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    ours.stdout.readline()
    ours.stdout.close()  # as head does
    assert ours.stderr.read().decode().strip() == "the work went on"
    assert ours.wait() == 0
