"""Sessions end to end on the toy world: what is tracked, what is kept, what is not done twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from ciliary.cortex.parameters import PARAMETERS
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.store import SESSIONS, tracking_uri
from ciliary.tuning.sessions.inputs import Input
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of


def play(settings, names=("a", "b"), *, display=None, make_env=lambda settings: PictureToy()):
    inputs = [*inputs_of(*names)] if isinstance(names[0], str) else list(names)
    return run_session(settings, inputs, make_env=make_env, display=display or Recorder())


def runs_of(settings):
    """(session runs, episode runs) in the store, read by a client of our own."""
    client = MlflowClient(tracking_uri=tracking_uri(settings.out))
    experiment = client.get_experiment_by_name(SESSIONS)
    runs = client.search_runs([experiment.experiment_id])
    kinds = {kind: [r for r in runs if r.data.tags["ciliary.kind"] == kind] for kind in ("session", "episode")}
    return client, kinds["session"], kinds["episode"]


def test_round_trip(settings):
    settings = replace(settings, disturbances=("none", "fog:2"))
    outcome = play(settings)
    assert outcome.exit_code == 0
    client, (parent,), episodes = runs_of(settings)
    assert parent.info.run_name == "s"
    assert len(episodes) == 4
    assert {r.info.status for r in [parent, *episodes]} == {"FINISHED"}
    assert {r.data.tags["mlflow.parentRunId"] for r in episodes} == {parent.info.run_id}
    for r in episodes:
        assert r.data.tags["ciliary.seed"] == "0"
        assert r.info.end_time is not None
    one = episodes[0]
    made = next(r for r in outcome.records if r["key"] == one.data.tags["ciliary.key"])
    for key, n in {"loss/total": 7, "loss/stability": 7, "best/total": 6, "theta/blur_sigma_px": 7}.items():
        series = client.get_metric_history(one.info.run_id, key)
        assert [m.step for m in series] == list(range(n)), key
    *logged, result = [m.value for m in client.get_metric_history(one.info.run_id, "loss/total")]
    np.testing.assert_allclose(logged, made["history"]["total"])
    numbers = one.data.metrics
    assert result == numbers["loss/total"] == numbers["after/total"] == pytest.approx(min(logged))  # not the last trial
    tried = np.array(made["history"]["u"])
    moved = {*np.array(PARAMETERS.names)[np.abs(tried[made["i_chosen"]] - tried[0]) > 1e-6]} - {*made["frozen"]}
    assert {name[6:] for name in numbers if name.startswith("final/")} == moved
    assert numbers["gain/total"] == pytest.approx(numbers["before/total"] - numbers["after/total"])
    assert {"n_trials": "6", "image": made["image"], "controller": "random"}.items() <= one.data.params.items()
    assert not {"disturbances", "out", "session"} & set(one.data.params)
    (seen,) = one.inputs.dataset_inputs
    assert (seen.dataset.name, seen.dataset.digest) == (made["image"], made["fingerprint"])
    files = {f.path for f in client.list_artifacts(one.info.run_id)}
    assert files == {"history.csv", "episode.json", "figures", "images", "terms.json"}
    assert parent.data.tags["ciliary.version.torch"]


def test_every_batch_keeps_to_the_limits_of_the_store(settings, monkeypatch):
    """64 trials of all parameters and terms are more than one request may carry."""
    sizes = []
    original = MlflowClient.log_batch

    def log_batch(self, run_id, metrics=(), params=(), tags=(), **more):
        sizes.append((len(metrics), len(params), len(tags)))
        return original(self, run_id, metrics=metrics, params=params, tags=tags, **more)

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    settings = replace(settings, n_trials=64, population=64)
    play(settings, ("a",))
    assert max(sum(size) for size in sizes) <= 1000
    assert max(size[1] for size in sizes) <= 100
    n_metrics = sum(size[0] for size in sizes)
    assert n_metrics >= 64 * (len(PARAMETERS) + 6)
    assert len(sizes) <= 4 + n_metrics // 1000  # parameters of session and episode, means, the trials in full requests


def test_the_best_is_applied_when_the_guard_agrees(settings):
    outcome = play(replace(settings, controller="cmaes", n_trials=49, population=12), ("a",))
    (made,) = outcome.records
    assert made["guard"]["is_accepted"]
    assert made["after"]["total"] < made["before"]["total"]
    assert made["i_chosen"] == int(np.argmin(made["history"]["total"]))


def test_records_are_readable_without_the_store(settings):
    outcome = play(settings)
    lines = (outcome.folder / "episodes.jsonl").read_text().splitlines()
    assert [json.loads(line)["image"] for line in lines] == ["a", "b"]
    first = json.loads(lines[0])
    assert set(first["parameters"]) == set(PARAMETERS.names)
    assert len(first["history"]["total"]) == 6
    assert first["versions"]["torch"]


def test_a_torn_line_does_not_spoil_the_records(tmp_path):
    file = tmp_path / "episodes.jsonl"
    records.append(file, {"key": "1"})
    with file.open("a") as f:
        f.write('{"key": "torn')
    records.append(file, {"key": "2"})
    assert [r["key"] for r in records.read(file)] == ["1", "2"]


def test_a_killed_session_is_closed_and_goes_on(settings):
    """A process killed outright leaves its runs RUNNING; the next start closes them and does the rest."""
    outcome = play(settings, ("a", "b"))
    client, (parent,), episodes = runs_of(settings)
    unlucky = next(r for r in episodes if r.data.tags["ciliary.image"] == "b")
    for r in (parent, unlucky):  # as SIGKILL in the middle of the second episode would have left them
        client.update_run(r.info.run_id, status="RUNNING")
    PictureToy.n_asked = 0
    display = Recorder()
    outcome = play(settings, ("a", "b"), display=display)
    client, (again,), episodes = runs_of(settings)
    assert outcome.name == "s"
    assert again.info.run_id == parent.info.run_id
    assert client.get_run(unlucky.info.run_id).info.status == "KILLED"
    assert sorted(r.info.status for r in episodes) == ["FINISHED", "FINISHED", "KILLED"]
    assert again.info.status == "FINISHED"
    assert display.session.n_killed == 2
    assert (outcome.n_before, len(outcome.records)) == (1, 2)
    assert PictureToy.n_asked == 6  # only b's trials


def test_records_come_from_the_store_when_the_file_is_gone(settings):
    outcome = play(settings, ("a",))
    client, (parent,), _ = runs_of(settings)
    client.update_run(parent.info.run_id, status="RUNNING")
    (outcome.folder / "episodes.jsonl").unlink()
    again = play(settings, ("a",))
    assert again.n_before == 1
    assert again.records == outcome.records


def test_a_complete_session_is_left_alone(settings):
    assert play(settings, ("a",)).name == "s"
    assert play(settings, ("a",)).name == "s-2"
    resumed = play(replace(settings, is_resumed=True), ("a", "b"))
    assert (resumed.name, resumed.n_before, len(resumed.records)) == ("s", 1, 2)


def test_another_setting_is_another_episode(settings):
    play(settings, ("a",))
    other = play(replace(settings, is_resumed=True, n_trials=7), ("a",))
    assert (other.name, other.n_before) == ("s", 0)


def test_a_session_at_work_elsewhere_is_not_disturbed(settings):
    names = []

    def start_another(progress):
        if not names:
            names.append(None)
            names.append(play(settings, ("a",)).name)

    assert play(settings, ("a",), display=Recorder(start_another)).name == "s"
    assert names[1] == "s-2"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_session_after_the_batch(settings, number, capsys):
    before = signal.getsignal(number)
    outcome = play(settings, display=Recorder(lambda progress: os.kill(os.getpid(), number)))
    assert outcome.is_stopped
    assert outcome.exit_code == 130
    assert outcome.records == []
    client, (parent,), (episode,) = runs_of(settings)
    assert {parent.info.status, episode.info.status} == {"KILLED"}
    assert len(client.get_metric_history(episode.info.run_id, "loss/total")) == 3  # the batch that was made
    assert not any(key.startswith("final/") for key in episode.data.metrics)
    assert "stopping" in capsys.readouterr().err
    assert signal.getsignal(number) is before
    assert play(settings).exit_code == 0
    assert len(runs_of(settings)[1]) == 1


def test_a_broken_image_is_named_and_the_rest_goes_on(settings):
    def broken():
        raise ValueError("cannot identify\nimage file")

    display = Recorder()
    outcome = play(settings, (Input("x", "x.png", broken), *inputs_of("a")), display=display)
    assert display.problems == ["x.png: cannot identify image file"]
    assert outcome.exit_code == 3
    assert [r["image"] for r in outcome.records] == ["a"]


def test_nothing_done_is_a_failure(settings):
    def broken():
        raise ValueError("no")

    outcome = play(settings, (Input("x", "x.png", broken),))
    assert outcome.exit_code == 1
    assert runs_of(settings)[1][0].info.status == "FAILED"


def test_an_exception_fails_its_own_episode_only(settings, monkeypatch):
    monkeypatch.setattr(PictureToy, "broken", frozenset("a"))
    outcome = play(settings)
    assert outcome.exit_code == 3
    assert outcome.problems == ["a.png: RuntimeError: this picture breaks the world"]
    _, _, episodes = runs_of(settings)
    status = {r.data.tags["ciliary.image"]: r.info.status for r in episodes}
    assert status == {"a": "FAILED", "b": "FINISHED"}
    failed = next(r for r in episodes if r.info.status == "FAILED")
    assert "breaks the world" in failed.data.tags["ciliary.error"]
    monkeypatch.setattr(PictureToy, "broken", frozenset())
    again = play(replace(settings, is_resumed=True))
    assert (again.exit_code, again.n_before) == (0, 1)


def test_losses_that_are_not_finite_are_survived(settings):
    class Moody(PictureToy):
        def __init__(self, settings):
            super().__init__()
            self.nonfinite_trials = frozenset({2})

    outcome = play(settings, ("a",), make_env=Moody)
    assert outcome.records[0]["history"]["total"][2] is None
    _, _, (episode,) = runs_of(settings)
    assert episode.data.metrics["n_nonfinite"] == 1


@pytest.mark.parametrize("controller", ["fixed", "normalise", "random", "tpe"])
def test_saved_files(settings, tmp_path, controller):
    save = tmp_path / "maps"
    outcome = play(replace(settings, controller=controller, save=save), ("a",))
    assert sorted(p.name for p in save.iterdir()) == ["a.boundary.png", "a.json", "a.labels.png", "a.regions.png"]
    page = json.loads((save / "a.json").read_text())
    assert {"controller", "disturbance", "seed", "parameters", "before", "after", "seconds"} <= set(page)
    assert page["controller"] == controller
    assert set(page["parameters"]) == set(PARAMETERS.names)
    for side in ("before", "after"):
        assert {"total", "stability", "consistency", "collapse", "economy"} <= set(page[side])
    raw = (save / "a.labels.png").read_bytes()
    assert (raw[24], raw[25]) == (16, 0)  # bit depth, colour type grey, in the PNG header
    with Image.open(save / "a.labels.png") as labels, Image.open(save / "a.boundary.png") as boundary:
        assert labels.size == boundary.size == (120, 90)
        assert boundary.mode == "L"
        assert labels.getextrema()[0] == 0
    assert outcome.records[0]["files"]["json"] == str(save / "a.json")


def test_missing_saved_files_are_made_again(settings, tmp_path):
    settings = replace(settings, save=tmp_path / "maps")
    play(settings, ("a", "b"))
    (tmp_path / "maps" / "a.json").unlink()
    again = play(replace(settings, is_resumed=True), ("a", "b"))
    assert again.n_before == 1
    assert (tmp_path / "maps" / "a.json").exists()


@pytest.mark.parametrize("controller", ["random", "tpe", "cmaes", pytest.param("nsga2", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_an_interrupted_study_goes_on(settings, tmp_path, controller, kind):
    """Stopped after its first batch and started again, it leaves the trace of an undisturbed run, and pays once."""
    if kind == "sqlite" and controller != "tpe":
        pytest.skip("one controller is enough for the slower backend")
    storage = f"sqlite:///{tmp_path}/studies.db" if kind == "sqlite" else str(tmp_path / "studies.log")
    settings = replace(settings, controller=controller, n_trials=9)
    (whole,) = play(replace(settings, session="undisturbed"), ("a",)).records
    stop = Recorder(lambda progress: os.kill(os.getpid(), signal.SIGINT))
    stored = replace(settings, storage=storage)
    assert play(stored, ("a",), display=stop).is_stopped
    PictureToy.n_asked = 0
    (made,) = play(stored, ("a",)).records
    n_first = 1 if controller == "cmaes" else 3
    assert PictureToy.n_asked == 9 - n_first
    np.testing.assert_array_equal(made["history"]["u"], whole["history"]["u"])
    np.testing.assert_array_equal(made["history"]["total"], whole["history"]["total"])
    assert made["n_evaluations"] == whole["n_evaluations"]


def test_a_study_can_be_lengthened(settings, tmp_path):
    settings = replace(settings, controller="tpe", storage=f"sqlite:///{tmp_path}/studies.db")
    play(settings, ("a",))
    PictureToy.n_asked = 0
    (made,) = play(replace(settings, n_trials=12), ("a",)).records
    assert len(made["history"]["total"]) == 12
    assert PictureToy.n_asked == 6


def test_the_store_of_the_environment_is_honoured(settings, tmp_path, monkeypatch, migrated):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(migrated, elsewhere / "mine.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}/mine.db")
    outcome = play(settings, ("a",))
    assert outcome.command.endswith(f"ciliary ui --store sqlite:///{elsewhere}/mine.db")
    assert len(runs_of(settings)[2]) == 1
    assert (elsewhere / "artifacts").is_dir()


def test_unknown_controller(settings):
    with pytest.raises(ValueError, match="choose from fixed"):
        play(replace(settings, controller="teleport"))


def test_a_recalibrated_objective_under_its_old_name_is_another_session(tmp_path):
    path = tmp_path / "c.npz"
    path.write_bytes(b"one")
    first = SessionSettings(objective=str(path))
    prints = first.fingerprint(), first.study_fingerprint()
    path.write_bytes(b"other")
    assert all(new != old for new, old in zip((first.fingerprint(), first.study_fingerprint()), prints, strict=True))
