"""What is wrong is found and told, nothing is made, and no check ends the look at the others."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ciliary.cortex.installing import install_extra
from ciliary.tuning.browse.job import store_of
from ciliary.tuning.doctor import finding, packages, places, weights
from ciliary.tuning.doctor.finding import Finding, Level, examine, exit_code
from ciliary.tuning.doctor.job import CHECKS, in_line, run
from ciliary.tuning.doctor.machine import device
from ciliary.tuning.doctor.settings import EXTRAS, DoctorSettings
from ciliary.tuning.doctor.store import count, store
from ciliary.tuning.runs.fingerprints import ROOT
from ciliary.tuning.runs.store import open_store
from ciliary_tests.mlflow_server import mlflow_server
from ciliary_tests.postgres import free_port

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def levels(findings) -> list[str]:
    return [one.level.value for one in findings]


def broken(settings):
    raise RuntimeError("postgresql://me:secret@host/x\nis gone")


def well(settings):
    return [Finding("well", "as it should be")]


def test_here_all_is_well_and_nothing_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    out = tmp_path / "runs"
    assert run(DoctorSettings(out=out, is_json=True)) == 0
    page = json.loads(capsys.readouterr().out)
    assert (page["verdict"], page["exit_code"]) == ("all well", 0)
    assert {row["topic"] for row in page["findings"]} == set(CHECKS)
    assert not out.exists()
    assert run(DoctorSettings(out=out, is_quiet=True)) == 0
    assert capsys.readouterr().out == ""


def test_a_check_that_fails_ends_no_other_and_tells_no_password():
    here = f"{__name__}:"
    checks = {"gone": f"{here}broken", "lost": "ciliary.no.such.module:x", "well": f"{here}well"}
    found = examine(checks, DoctorSettings())
    assert levels(found) == ["broken", "broken", "well"]
    assert found[0].text == "could not be looked at: RuntimeError: postgresql://me:***@host/x is gone"


def test_torch_that_cannot_be_imported_is_told_and_the_rest_is_looked_at(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from ciliary.tuning.cli.app import main\n"
        f"sys.exit(main(['doctor', '--out', {str(tmp_path / 'runs')!r}], owns_process=True))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("device") and "broken" in line and "torch cannot be imported" in line for line in lines)
    assert lines[-1] == "1 broken"
    assert any(line.startswith("weights") and "readable" in line for line in lines)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([Level.WELL, Level.NOTE], 0),
        ([Level.NOTE, Level.MISSING], 3),
        ([Level.MISSING, Level.BROKEN], 1),
    ],
)
def test_the_worst_is_in_the_exit_code(found, code):
    assert exit_code([Finding("x", "", level) for level in found]) == code


# --- packages


def test_a_package_that_is_not_there_or_too_old_is_broken(monkeypatch):
    monkeypatch.setattr(packages, "version", lambda name: {"numpy": "1.2", "scipy": ""}.get(name, "99"))
    numpy, scipy, torch = (Requirement(line) for line in ("numpy>=1.26", "scipy>=1.11", "torch>=2.4"))
    assert packages.misfit(numpy) == "numpy is 1.2, not >=1.26"
    assert packages.misfit(scipy) == "scipy is not installed"
    assert packages.misfit(torch) == ""


def test_a_torchvision_of_another_torch_is_found(monkeypatch):
    needs = {"ciliary": [Requirement("torchvision")], "torchvision": [Requirement("torch==2.9.0")]}
    monkeypatch.setattr(packages, "requirements", lambda name, extra="": needs.get(name, []))
    monkeypatch.setattr(packages, "version", {"torchvision": "0.24.0", "torch": "2.8.0"}.get)
    well, wrong = packages.packages(DoctorSettings())
    assert well.values == {"torchvision": "0.24.0"}
    assert (wrong.level, wrong.text) == (Level.BROKEN, "torch is 2.8.0, not ==2.9.0, which torchvision needs")


def test_an_extra_is_missing_only_where_it_was_asked_for(monkeypatch):
    real = packages.version
    monkeypatch.setattr(packages, "version", lambda name: "" if name == "ray" else real(name))
    plain = {one.values["name"]: one for one in packages.extras(DoctorSettings())}
    asked = {one.values["name"]: one for one in packages.extras(DoctorSettings(extras=("ray",)))}
    assert (plain["ray"].level, asked["ray"].level) == (Level.NOTE, Level.MISSING)
    assert asked["ray"].do == install_extra("ray")
    assert asked["rl"].level is not Level.MISSING


def test_every_extra_that_users_may_want_is_told(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"test", "dev"}
    assert packages.version_of_sources(repository) == project["version"]


# --- devices


def test_a_device_that_is_not_there_is_missing_where_it_was_asked_for(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    *_, last = device(DoctorSettings(device="cuda"))
    assert last.level is Level.MISSING
    assert "sees no cuda device here" in last.text
    *_, last = device(DoctorSettings(device="cpu"))
    assert (last.level, last.text) == (Level.WELL, "cpu: computes")


# --- the store


def test_experiments_and_runs_are_counted_as_mlflow_counts_them(out):
    client = (opened := open_store(out)).client
    for _ in range(3):
        run_id = client.create_run(opened.experiment_id).info.run_id
    client.delete_run(run_id)
    n_experiments = len(client.search_experiments())
    assert count(out / "mlflow.db") == (n_experiments, 2)
    (found,) = store(DoctorSettings(out=out))
    assert found.text.endswith(f"mlflow.db: {n_experiments} experiments, 2 runs")


def test_the_newest_store_of_sessions_below_is_found_as_ui_finds_it(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (found,) = store(DoctorSettings(out=tmp_path / "runs"))
    assert (found.level, found.text) == (
        Level.WELL,
        f"SQLite, none in {tmp_path / 'runs'} yet: made by the first session",
    )
    for age_s, name, n_runs in ((9, "accommodate", 3), (1, "focus", 2)):
        path = tmp_path / "runs" / name / "mlflow.db"
        path.parent.mkdir(parents=True)
        with closing(sqlite3.connect(path)) as connection, connection:
            for table, n in (("experiments", 1), ("runs", n_runs)):
                connection.execute(f"CREATE TABLE {table} (lifecycle_stage TEXT)")
                connection.executemany(f"INSERT INTO {table} VALUES (?)", [("active",)] * n)
        os.utime(path, (1000 - age_s, 1000 - age_s))
    monkeypatch.chdir(tmp_path)
    (found,) = store(DoctorSettings(out=Path("runs")))
    assert found.text == f"SQLite, {tmp_path / 'runs/focus/mlflow.db'}: 1 experiments, 2 runs"
    assert store_of(None) == f"sqlite:///{(tmp_path / 'runs/focus/mlflow.db').as_posix()}"


def test_a_store_that_is_no_database_is_broken(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_text("a letter, and a long one: " + "dear " * 300)
    (found,) = store(DoctorSettings(out=tmp_path))
    assert found.level is Level.BROKEN
    assert "file is not a database" in found.text


def test_a_server_that_does_not_answer_is_missing_and_its_password_stays_here(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{free_port()}")
    (found,) = store(DoctorSettings(out=tmp_path))
    assert found.level is Level.MISSING
    assert "does not answer: [Errno" in found.text
    assert "secret" not in str(found)


@pytest.mark.slow
def test_a_server_that_answers_is_counted_too(tmp_path, monkeypatch):
    with mlflow_server(tmp_path) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address())
        opened = open_store(tmp_path / "out")
        opened.client.create_run(opened.experiment_id)
        (found,) = store(DoctorSettings(out=tmp_path))
        assert found.level is Level.WELL
        assert found.text.endswith(
            f"(from MLFLOW_TRACKING_URI): {len(opened.client.search_experiments())} experiments, 1 runs"
        )


# --- weights


def test_every_file_that_is_named_is_there():
    assert not [name for name in weights.NEEDED_BY if not (ROOT / name).is_file()]
    (found,) = weights.weights(DoctorSettings())
    assert set(weights.NEEDED_BY) <= set(found.values["sha256_16"])


def test_a_file_that_was_cut_swapped_or_lost_is_found(tmp_path):
    whole = ROOT / "agents" / "weights" / "eye.safetensors"
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    assert weights.trouble(cut).startswith("cannot be read: SafetensorError")
    assert weights.trouble(tmp_path / "lost.npz") == "is not there"
    assert weights.trouble(whole) == ""
    assert weights.trouble(whole, packed="0" * 64) == "is another than was packed"
    page = tmp_path / "page.json"
    page.write_text("{")
    assert "JSONDecodeError" in weights.trouble(page)


# --- places


def test_a_place_that_cannot_be_written_into_is_broken(tmp_path):
    (tmp_path / "file").write_text("mine")
    (found,) = places.results(DoctorSettings(out=tmp_path / "file" / "below"))
    assert found.level is Level.BROKEN
    assert str(tmp_path / "file" / "below") in found.text


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    for free, level in ((10**7, Level.BROKEN), (10**8, Level.NOTE), (10**10, Level.WELL)):
        monkeypatch.setattr(places.shutil, "disk_usage", lambda folder, free=free: type("Usage", (), {"free": free}))
        (found,) = places.results(DoctorSettings(out=tmp_path))
        assert found.level is level


def test_bytes_are_counted_and_put_in_words(tmp_path):
    (tmp_path / "a").write_bytes(bytes(1500))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b").write_bytes(bytes(500))
    assert places.holds(tmp_path) == "2.0 kB in 2 files"
    assert [places.in_words(n) for n in (12, 123_456, 1.5e6, 25e9, 3e12)] == [
        "12 B",
        "123 kB",
        "1.5 MB",
        "25.0 GB",
        "3.0 TB",
    ]


def test_a_line_says_what_to_do_below_it():
    one = Finding("store", "is gone", Level.MISSING, "start it")
    first, second = in_line(one).plain.splitlines()
    assert first.split() == ["store", "missing:", "is", "gone"]
    assert second.split() == ["->", "start", "it"]
    assert "store" not in in_line(one, is_first=False).plain
    assert finding.Level("well") is Level.WELL
