"""The tracking store: found again by the printed command, opened quietly, refused clearly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ciliary.tuning.runs.store import Store, StoreError, open_store, tracking_uri
from ciliary.tuning.sessions.resume import check_name


def test_address(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(tmp_path / "runs") == f"sqlite:///{tmp_path}/runs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert tracking_uri(tmp_path) == "http://localhost:5000"


def test_command_survives_the_shell():
    assert Store("sqlite:////a b/mlflow.db", None, "0").command.endswith('ciliary ui --store "/a b"')
    assert Store("sqlite:////a b/runs.db", None, "0").command.endswith('ui --store "sqlite:////a b/runs.db"')
    assert Store("http://host:5000", None, "0").command == "open http://host:5000"


def test_opening_twice_is_one_experiment_and_artifacts_lie_beside(out):
    first, second = open_store(out), open_store(out)
    assert first.experiment_id == second.experiment_id
    assert first.client.get_experiment(first.experiment_id).artifact_location == (out / "artifacts").as_uri()


def test_a_deleted_experiment_is_restored(out):
    store = open_store(out)
    store.client.delete_experiment(store.experiment_id)
    assert open_store(out).experiment_id == store.experiment_id


def test_a_store_that_cannot_be_opened_is_named(out):
    (out / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"cannot open the tracking store sqlite:///.*mlflow\.db"):
        open_store(out)


@pytest.mark.slow
def test_a_new_database_is_made_in_silence(tmp_path):
    code = "import sys, pathlib as p; from ciliary.tuning.runs.store import open_store; open_store(p.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("name", ["", "a/b", "..", "a'b", "x" * 101, "é"])
def test_names_that_cannot_name_a_folder(name):
    with pytest.raises(ValueError, match="session name"):
        check_name(name)
