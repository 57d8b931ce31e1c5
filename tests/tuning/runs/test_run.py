"""The one lifecycle: whatever happens in the block, the run ends, and says how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ciliary.tuning.runs.run import Run, at
from ciliary.tuning.runs.store import EVALUATIONS, masked, open_store


@pytest.fixture
def store(out):
    return open_store(out, experiment=EVALUATIONS)


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (ValueError("no\nreason"), "FAILED"), (KeyboardInterrupt(), "KILLED")],
)
def test_every_block_ends_its_run(store, error, status):
    try:
        with Run.begin(store, name="r", kind="evaluation", params={"a": 1}, tags={"b": 2}) as run:
            run.write(at({"x": 1.5, "odd:name": np.array([2.0]), "word": "x", "nan": float("nan")}, step=3))
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    kept = store.client.get_run(run.run_id)
    assert kept.info.status == status
    assert kept.info.end_time is not None
    assert kept.data.metrics == {"x": 1.5, "odd_name": 2.0}
    assert kept.data.params == {"a": "1"}
    assert kept.data.tags["ciliary.kind"] == "evaluation"
    assert kept.data.tags["ciliary.b"] == "2"
    assert kept.data.tags["mlflow.source.type"] == "LOCAL"
    assert ("ciliary.error" in kept.data.tags) == (status == "FAILED")


def test_the_first_end_counts_and_an_ended_run_can_go_on(store):
    with Run.begin(store, name="r", kind="evaluation") as run:
        run.kill()
    assert store.client.get_run(run.run_id).info.status == "KILLED"
    again = Run.go_on(store, run.run_id)
    assert store.client.get_run(run.run_id).info.status == "RUNNING"
    again.finish()
    assert store.client.get_run(run.run_id).info.status == "FINISHED"
    with pytest.raises(KeyError):
        Run.go_on(store, "0" * 32)


def test_files_are_kept_under_names_that_can_be_fetched(store, tmp_path):
    path = tmp_path / "photo#1 100%25.png"
    path.write_bytes(b"picture")
    with Run.begin(store, name="r", kind="evaluation") as run:
        run.keep(path, "figures", name="figure.png", is_linked=True)
        run.keep(path, name="copy.png")
    kept = store.client.download_artifacts(run.run_id, "figures/figure.png")
    assert Path(kept).read_bytes() == b"picture"
    assert path.stat().st_nlink == 2  # one file on the disk, and a copy


def test_the_browser_is_told_what_it_shows(store):
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.tags["mlflow.note.content"]
    with Run.begin(store, name="r", kind="evaluation") as run:
        run.uses("cat", digest="0a", source="/photos/cat.png")
        run.describe("**what came of it**")
        run.show(np.zeros((4, 4, 3), np.uint8), "regions", 2)
    kept = store.client.get_run(run.run_id)
    (seen,) = kept.inputs.dataset_inputs
    assert (seen.dataset.name, seen.dataset.digest) == ("cat", "0a")
    assert kept.data.tags["mlflow.note.content"] == "**what came of it**"
    assert store.client.list_artifacts(run.run_id, "images")


def test_passwords_are_shown_to_nobody():
    assert masked("postgresql://me:secret@host/x failed") == "postgresql://me:***@host/x failed"
    assert masked("sqlite:///a:b@c") == "sqlite:///a:b@c"
