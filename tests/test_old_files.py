"""Files of version 0.1.0 (``tests/fixtures/v0``): sessions go on, studies play back, policies and tables are read."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient
from packaging.version import Version

from ciliary.agents.controllers.homeostat import load_loops
from ciliary.agents.controllers.memory import load_memories
from ciliary.agents.controllers.policy import load_policy
from ciliary.agents.episode import run_episode
from ciliary.agents.registry import make_controller
from ciliary.cortex.parameters import COLUMNS_V0, PARAMETERS
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.evaluation.case_cache import Case, read_shard
from ciliary.tuning.evaluation.table import ResponseTable
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.registry import find_policy
from ciliary.tuning.sessions import session as sessions
from ciliary.tuning.sessions.experience import recollect
from ciliary.tuning.sessions.inputs import collect
from ciliary.tuning.sessions.make_env import make_env
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.worlds import Recorder

MADE_BY = Version("3.17")
V0 = Path(__file__).parent / "fixtures" / "v0"
DISC, RING = V0 / "photographs" / "disc.png", V0 / "photographs" / "ring.png"
N = len(PARAMETERS)


@pytest.fixture
def out(tmp_path, monkeypatch) -> Path:
    """The output folder, moved to where we are, with its databases unpacked and brought to the MLflow we have."""
    if Version(mlflow.__version__) < MADE_BY:
        pytest.skip(f"the database is one of MLflow {MADE_BY}, which an older MLflow cannot read")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for page in ("draw_episode", "draw_stages"):
        place = f"ciliary.tuning.sessions.episode.{page}"
        monkeypatch.setattr(place, lambda *arguments, **more: Figure(figsize=(0.1, 0.1)))
    folder = tmp_path / "moved"
    shutil.copytree(V0 / "sessions", folder)
    for packed, name in (("out/tracking.db.gz", "out/mlflow.db"), ("studies.db.gz", "studies.db")):
        (folder / name).write_bytes(gzip.decompress((folder / packed).read_bytes()))
    _upgrade(folder / "out" / "mlflow.db")
    return folder / "out"


def _upgrade(database: Path) -> None:
    """What ``mlflow db upgrade`` does, where a newer MLflow asks for it."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine(f"sqlite:///{database}")
    try:
        utils._verify_schema(engine)
    except MlflowException:
        utils._upgrade_db(engine)
    engine.dispose()


def plain(out: Path, **changes) -> SessionSettings:
    settings = SessionSettings(size_px=40, out=out, is_animated=False, objective="raw", inherited="none")
    return replace(settings, **changes)


def play(settings: SessionSettings, *paths: Path):
    inputs, _, _ = collect(paths, settings.size_px)
    display = Recorder()
    outcome = sessions.run_session(settings, inputs, make_env=make_env, display=display)
    assert not display.problems
    return outcome, display.session


def undisturbed(name: str) -> dict:
    return json.loads((V0 / f"{name}_undisturbed.json").read_text())


def assert_as_undisturbed(made: dict, name: str) -> None:
    whole = undisturbed(name)
    u, _ = PARAMETERS.align(COLUMNS_V0, np.asarray(whole["u"]))
    np.testing.assert_allclose(made["history"]["u"], u, atol=1e-5)
    np.testing.assert_allclose(made["history"]["total"], whole["total"], atol=1e-4)
    parameters = {name: made["parameters"][name] for name in whole["parameters"]}
    assert parameters == pytest.approx(whole["parameters"], rel=1e-4)


def test_a_finished_session_is_not_done_again(out):
    settings = plain(out, session="finished", objective="calibrated", n_trials=6, population=3, is_resumed=True)
    before = (out / "finished" / records.FILE).read_bytes()
    outcome, session = play(settings, DISC)
    assert (outcome.name, outcome.n_before, outcome.exit_code) == ("finished", 1, 0)
    assert session.is_continued
    assert (out / "finished" / records.FILE).read_bytes() == before
    # the record also stands with its run, in the folder that was moved
    assert session.record_of(session.done[outcome.records[0]["key"]]) == outcome.records[0]
    (out / "finished" / records.FILE).unlink()
    again, _ = play(settings, DISC)
    assert again.records == outcome.records


def test_an_interrupted_session_goes_on_from_its_journal(out):
    settings = plain(out, session="stopped", n_trials=8, population=2, storage=str(out.parent / "studies.log"))
    outcome, _ = play(settings, DISC, RING)
    assert (outcome.name, outcome.n_before, outcome.exit_code) == ("stopped", 1, 0)
    assert [r["image"] for r in outcome.records] == ["disc", "ring"]
    assert_as_undisturbed(outcome.records[1], "stopped")
    n_new_studies = len(open_studies(settings))
    assert n_new_studies == 2  # those of the old version: nothing was begun anew


@pytest.mark.slow
def test_a_killed_session_goes_on_from_its_database(out):
    storage = f"sqlite:///{out.parent}/studies.db"
    settings = plain(
        out, session="killed", controller="cmaes", n_trials=9, population=4, disturbances=("fog:2",), storage=storage
    )
    outcome, session = play(settings, DISC)
    assert (outcome.name, outcome.n_before, outcome.exit_code) == ("killed", 0, 0)
    assert session.n_killed == 2
    assert_as_undisturbed(outcome.records[0], "killed")
    assert len(open_studies(settings)) == 1


def open_studies(settings: SessionSettings) -> list[str]:
    from ciliary.tuning.sessions.study_cache import open_storage

    return [study.study_name for study in open_storage(settings.storage).get_all_studies()]


def test_what_a_moved_folder_gets_new_lies_in_it(out):
    """The old place of the artifacts stands in the database; it is not made again, and pictures are found again."""
    client = MlflowClient(f"sqlite:///{out}/mlflow.db")
    play(plain(out, session="new", controller="fixed"), DISC)
    experiment = client.get_experiment_by_name("ciliary-accommodate")
    runs = client.search_runs([experiment.experiment_id])
    assert experiment.artifact_location == (out / "artifacts").as_uri()
    assert {run.info.artifact_uri for run in runs} == {
        f"{experiment.artifact_location}/{run.info.run_id}/artifacts" for run in runs
    }
    finished = [r for r in runs if r.data.tags["ciliary.kind"] == "episode" and r.info.status == "FINISHED"]
    assert len(finished) == 3
    for run in finished:
        assert client.list_artifacts(run.info.run_id, "figures")
    assert not Path("/tmp/ciliary-v0").exists()


def test_what_was_found_is_remembered(out):
    found = recollect(out)
    assert len(found) == 2  # finished and stopped, an episode each
    assert found.u.shape == (2, N)
    kept = load_memories(V0 / "memories.npz")
    assert (len(kept), kept.u.shape[1]) == (3, len(COLUMNS_V0))
    env = AccommodationEnv(source=str(RING), size_px=40, disturbances=(None,), objective="raw")
    controller = replace(make_controller("memory"), memories=kept)
    trace = run_episode(env, controller, seed=0)
    assert 2 <= trace.n_trials <= 4  # the defaults, and what was remembered
    is_free = ~np.isin(env.parameter_names, env.frozen)
    remembered, _ = PARAMETERS.align(COLUMNS_V0, kept.u)
    rows = np.abs(remembered[None] - trace.u[1:, None])[..., is_free].max(2)
    assert (rows.min(1) < 1e-6).all()


@pytest.mark.slow
@pytest.mark.parametrize("address", [str(V0 / "policy.safetensors"), "models:/eye/1"])
def test_policies_play(out, address):
    path = find_policy(address, out)
    assert path.read_bytes() == (V0 / "policy.safetensors").read_bytes()
    outcome, _ = play(plain(out, session="p", controller="policy", policy=path, use_guard=False), RING)
    (made,) = outcome.records
    assert made["n_trials"] == 2
    assert np.abs(np.diff(made["history"]["u"], axis=0)).max() > 0.01
    assert load_policy(path).about["seed"] == 0


def test_a_registered_policy_is_served_once_registered_anew(out):
    """A model of the old version names a module ``tuning``; ``accommodate --policy`` reads it, MLflow itself can't."""
    from mlflow import pyfunc

    from ciliary.tuning.runs.registry import register_policy
    from ciliary.tuning.runs.store import TRAININGS, open_store

    store = open_store(out, experiment=TRAININGS)
    assert register_policy(store, find_policy("models:/eye/1", out), "eye") == 2
    model = pyfunc.load_model(store.client.get_model_version_download_uri("eye", "2"))
    shape = load_policy(V0 / "policy.safetensors").network.shape
    sizes = {"statistics": shape.n_statistics, "terms": shape.n_terms, "u": shape.n_parameters}
    assert model.predict({name: np.zeros((2, n), np.float32) for name, n in sizes.items()}).shape == (
        2,
        len(COLUMNS_V0),
    )


def test_set_points_steer():
    loops = load_loops(V0 / "homeostat.json")
    env = AccommodationEnv(source=str(RING), size_px=40, disturbances=(None,), objective="raw")
    controller = replace(make_controller("reflex"), policy=V0 / "homeostat.json")
    trace = run_episode(env, controller, seed=0)
    moved = {PARAMETERS[int(i)].name for i in np.flatnonzero(np.ptp(trace.u, axis=0) > 1e-6)}
    assert moved
    assert moved <= {loop.parameter for loop in loops}


def test_a_calibration_judges():
    env = AccommodationEnv(source=str(DISC), size_px=40, disturbances=(None,), objective=V0 / "calibration.npz")
    env.reset(seed=0)
    score = env.evaluate(np.zeros((2, N))).terms["predicted_score"]
    assert np.isfinite(score).all()


def test_a_response_table_and_its_shards_are_read():
    table = ResponseTable.load(V0 / "responses.npz")
    assert (len(table.cases), table.n_settings, table.u.shape[1]) == (20, 4, len(COLUMNS_V0))
    about = json.loads((V0 / "table" / "table.json").read_text())
    case = next(c for c in table.cases if (c.image, c.disturbance) == ("im0", "none"))
    shard = read_shard(V0 / "table" / "shards", Case(*vars(case).values()), mark=about["fingerprint"])
    assert shard is not None
    row = table.cases.index(case)
    for name, values in shard.columns.items():
        np.testing.assert_array_equal(values, table.column(name)[row])
