"""Episodes keep a sheet of all stages, in their run and in the session's folder."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mlflow import MlflowClient

from ciliary.tuning.runs.store import tracking_uri
from ciliary.tuning.sessions import episode, session
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of


@pytest.mark.parametrize("controller", ["random", "normalise"])
def test_the_sheet_is_an_artifact_of_the_run(settings, controller, monkeypatch):
    seen = []
    empty = episode.draw_stages
    monkeypatch.setattr(
        episode, "draw_stages", lambda image, percept, **words: seen.append((image, percept, words)) or empty()
    )
    settings = replace(settings, controller=controller, disturbances=("none", "fog:2"))
    outcome = session.run_session(settings, inputs_of("a"), make_env=lambda settings: PictureToy(), display=Recorder())
    client = MlflowClient(tracking_uri=tracking_uri(settings.out))
    for made, stem in zip(outcome.records, ("a__none", "a__fog_2"), strict=True):
        path = outcome.folder / "stages" / f"{stem}.stages.png"
        assert made["files"]["stages"] == str(path)
        assert path.is_file()
        run_id = outcome_run(client, made)
        kept = {f.path for f in client.list_artifacts(run_id, "figures")}
        assert kept == {"figures/figure.png", "figures/stages.png"}
    assert [percept.m1.boundary.shape[0] for _, percept, _ in seen] == [1, 1]
    assert all(image.shape == (3, 48, 64) for image, _, _ in seen)
    assert "fog" in seen[1][2]["title"]


def outcome_run(client, made):
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return next(r.info.run_id for r in runs if r.data.tags.get("ciliary.key") == made["key"])
