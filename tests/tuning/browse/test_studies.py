"""Episodes as studies: what was written down, in optuna-dashboard's own words, and one line for what is wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from io import BytesIO
from wsgiref.util import setup_testing_defaults

import numpy as np
import optuna
import pytest

from ciliary.cortex.parameters import PARAMETERS
from ciliary.tuning.browse import dashboard, job
from ciliary.tuning.browse.server import free_port
from ciliary.tuning.browse.settings import UiSettings
from ciliary.tuning.browse.studies import LOOKED, FilesInPlace, add_studies, note_of, table_of
from ciliary.tuning.runs import record as records
from ciliary.tuning.sessions.session import run_session
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of

needs_dashboard = pytest.mark.skipif(
    importlib.util.find_spec("optuna_dashboard") is None,
    reason="needs optuna-dashboard (pip install 'ciliary[optuna]')",
)
NAMES = ("blur_sigma_px", "n_regions", "colour_weight", "mine")


def record_of(**more):
    """Three trials of three known parameters and one that is not; the second failed, the third was applied."""
    u = [[0.0, 0.5, 0.25, 0.1], [1.0, 0.5, -0.25, -0.1], [-1.0, 0.5, 0.0, 0.3]]
    return {
        "key": "a", "status": "FINISHED", "image": "cat", "disturbance": "fog:3", "controller": "tpe", "seed": 0,
        "objective": "agreement 0123", "seen_with": {"perceiver": "cortex", "size_px": 96}, "answer": "best",
        "parameters": dict.fromkeys(NAMES, 0.0), "frozen": ["colour_weight"], "i_chosen": 2,
        "before": {"total": 0.5, "stability": 0.2}, "after": {"total": 0.25, "stability": 0.1},
        "guard": {"reason": "accepted."}, "ending": {"advice": "All trials were used."}, "n_evaluations": 4,
        "seconds": 1.23456789, "files": {},
        "history": {"total": [0.5, None, 0.25], "economy": [0.1, None, 0.3], "best_so_far": [0.5, 0.5, 0.25], "u": u},
        **more,
    }  # fmt: skip


@pytest.fixture
def storage():
    return optuna.storages.InMemoryStorage()


def test_a_study_by_hand(storage):
    assert add_studies(storage, [record_of()]) == ["cat, fog:3, tpe"]
    study = optuna.load_study(study_name="cat, fog:3, tpe", storage=storage)
    first, failed, best = study.trials
    low, high = PARAMETERS["blur_sigma_px"].low, PARAMETERS["blur_sigma_px"].high  # on a logarithmic scale
    blurs = [t.params["blur_sigma_px"] for t in study.trials]
    assert blurs == pytest.approx([np.sqrt(low * high), high, low], rel=1e-5)
    # n_regions never moved and colour_weight was frozen; nobody described "mine", which stands as u
    assert set(first.params) == {"blur_sigma_px", "mine"}
    assert [t.params["mine"] for t in study.trials] == [0.1, -0.1, 0.3]
    assert (first.value, failed.state, best.value) == (0.5, optuna.trial.TrialState.FAIL, 0.25)
    assert first.user_attrs == {"economy": 0.1, "which": "defaults"}
    assert best.user_attrs == {"economy": 0.3, "which": "applied"}
    assert study.best_trial.number == 2
    assert study.metric_names == ["loss: agreement"]
    said = study.user_attrs
    assert said["loss before → after"] == "0.5000 → 0.2500"
    assert said["guard"] == "accepted."
    assert (said["image"], said["disturbance"], said["controller"], said["size_px"]) == ("cat", "fog:3", "tpe", 96)
    assert "to know" not in said


def test_studies_of_one_name_are_told_apart(storage):
    names = add_studies(storage, [record_of(), record_of(), record_of(seed=3, disturbance="none")])
    assert names == ["cat, fog:3, tpe", "cat, fog:3, tpe (2)", "cat, undisturbed, tpe, seed 3"]


def test_looks_are_called_looks(storage):
    (name,) = add_studies(storage, [record_of(answer="integrated", controller="panel", objective="looks 12")])
    study = optuna.load_study(study_name=name, storage=storage)
    assert name == "cat, fog:3, 3 looks"
    assert study.metric_names == ["disagreement"]
    assert study.user_attrs["to know"] == LOOKED
    assert LOOKED in note_of(record_of(answer="integrated"))
    assert study.trials[2].user_attrs["which"] == "agreed with most"


@pytest.mark.parametrize(
    ("perceiver", "high"),
    [
        ("cortex", PARAMETERS["merge_threshold"].high), ("slic", 60.0), ("glances:slic", 60.0), ("mine:segment", 1.0),
        ("glances", PARAMETERS["merge_threshold"].high),
    ],
)  # fmt: skip
def test_parameters_are_those_of_whoever_saw(perceiver, high):
    asked = record_of(seen_with={"perceiver": perceiver}, parameters={"merge_threshold": 1.0, "glance_gamma": 1.0})
    table = table_of(asked)
    assert table["merge_threshold"].high == high
    assert table["glance_gamma"].high == 2.5


def test_figures_are_shown_from_where_they_lie(storage, tmp_path):
    figure = tmp_path / "cat.png"
    figure.write_bytes(b"picture")
    pictures = FilesInPlace()
    (name,) = add_studies(storage, [record_of(files={"figure": str(figure)})], pictures=pictures)
    study = optuna.load_study(study_name=name, storage=storage)
    (meta,) = optuna.artifacts.get_all_artifact_meta(study)
    with pictures.open_reader(meta.artifact_id) as file:
        assert file.read() == b"picture"
    pictures.remove(meta.artifact_id)
    assert figure.exists()
    with pytest.raises(optuna.artifacts.exceptions.ArtifactNotFound):
        pictures.open_reader(meta.artifact_id)


def ask(app, path):
    """What a WSGI application answers to GET."""
    environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET", "wsgi.input": BytesIO()}
    setup_testing_defaults(environ)
    status = []
    body = b"".join(app(environ, lambda code, headers, *rest: status.append(code)))
    assert status[0].startswith("200"), (status, body)
    return json.loads(body)


@needs_dashboard
def test_the_dashboard_tells_what_a_session_did(settings, capsys):
    from optuna_dashboard import wsgi

    own = replace(settings, controller="random", session="s", use_guard=False)
    run_session(own, [*inputs_of("a", "b")], make_env=lambda s: PictureToy(), display=Recorder())
    title, storage, pictures = dashboard.of_session(UiSettings(address=str(settings.out), has_studies=True))
    assert title == "studies of s"
    app = wsgi(storage, pictures)
    studies = ask(app, "/api/studies")["study_summaries"]
    assert [one["study_name"] for one in studies] == ["a, undisturbed, random", "b, undisturbed, random"]
    assert {"key": "controller", "value": "random"} in studies[0]["user_attrs"]
    detail = ask(app, f"/api/studies/{studies[1]['study_id']}")
    record = records.finished(settings.out / "s")[1]
    assert [t["values"][0] for t in detail["trials"]] == pytest.approx(record["history"]["total"], rel=1e-5)
    theta = PARAMETERS.by_name(np.array(record["history"]["u"]))
    for i, trial in enumerate(detail["trials"]):
        for one in trial["params"]:
            assert float(one["param_external_value"]) == pytest.approx(theta[one["name"]][i], rel=1e-5)
    assert len(detail["trials"][0]["params"]) > 20
    assert "Times of trials were not kept" in detail["note"]["body"]
    assert len(detail["artifacts"]) == 1
    assert capsys.readouterr().err == ""


@needs_dashboard
def test_kept_studies_are_shown_as_they_are(settings, tmp_path):
    from optuna_dashboard import wsgi

    address = f"sqlite:///{tmp_path / 'study.db'}"
    own = replace(settings, controller="random", storage=address, use_guard=False)
    run_session(own, [*inputs_of("a")], make_env=lambda s: PictureToy(), display=Recorder())
    title, storage, _ = dashboard.kept(address)
    assert title == f"studies of {address}"
    (study,) = ask(wsgi(storage), "/api/studies")["study_summaries"]
    said = {one["key"]: one["value"] for one in study["user_attrs"]}
    assert {"image": "a", "disturbance": "none", "controller": "random", "seed": "0"}.items() <= said.items()


@needs_dashboard
def test_a_session_that_looked_says_so(tmp_path, capsys):
    records.append(tmp_path / "s" / records.FILE, record_of(answer="integrated"))
    dashboard.of_session(UiSettings(address=str(tmp_path), has_studies=True))
    said = capsys.readouterr().err
    assert said.startswith("ui: nothing was searched: these are looks")
    assert said.endswith("for a search: ciliary accommodate photo.jpg --controller tpe\n")


@pytest.mark.slow
@needs_dashboard
def test_the_command_serves_and_ends(tmp_path):
    records.append(tmp_path / "s" / records.FILE, record_of())
    code = "from ciliary.tuning.cli.app import program; program()"
    port = free_port("127.0.0.1", None, 8100)
    command = [sys.executable, "-c", code, "ui", "--studies", "--store", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = [process.stdout.readline().strip() for _ in range(4)]
            assert lines == [
                "studies of s (1):", f"http://127.0.0.1:{port}/dashboard",
                "cat, fog:3, tpe:", f"http://127.0.0.1:{port}/dashboard/studies/0",
            ]  # fmt: skip
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=30) as answer:
                assert len(json.load(answer)["study_summaries"]) == 1
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 130


def test_the_session_that_is_meant(tmp_path):
    places = [tmp_path / "runs" / out / name for out, name in (("x", "old"), ("x", "new"), ("y", "other"))]
    for place, age_s in zip(places, (60, 0, 30), strict=True):
        records.append(place / records.FILE, record_of())
        os.utime(place / records.FILE, (1e9 - age_s, 1e9 - age_s))
    assert dashboard.session_of(UiSettings(has_studies=True), tmp_path) == places[1]
    assert dashboard.session_of(UiSettings("other", has_studies=True), tmp_path) == places[2]
    assert dashboard.session_of(UiSettings(address=str(places[0]), has_studies=True), tmp_path) == places[0]
    with pytest.raises(LookupError, match=r"no session 'none' in .*make one with"):
        dashboard.session_of(UiSettings("none", has_studies=True), tmp_path)


@needs_dashboard
def test_what_is_wrong_is_one_line(tmp_path, capsys):
    records.append(tmp_path / "s" / records.FILE, record_of(status="FAILED"))
    asked = [
        (UiSettings(address=str(tmp_path), has_studies=True), "no accommodation in"),
        (UiSettings(storage=str(tmp_path / "none.log")), "no storage at"),
        (UiSettings(storage=f"sqlite:///{tmp_path / 'none.db'}"), "no storage at"),
    ]
    (tmp_path / "empty.log").touch()
    asked.append((UiSettings(storage=str(tmp_path / "empty.log")), "holds no study"))
    for settings, said in asked:
        assert job.run(settings) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("ui: ")
        assert said in line
    assert not list(tmp_path.glob("none.*"))


def test_without_the_dashboard_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    assert job.run(UiSettings(has_studies=True)) == 1
    assert "pip install 'ciliary[optuna]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"storage": "x.log", "has_studies": True}, "--storage shows all studies"),
        ({"has_studies": True, "is_served": False}, "leave --no-serve out"),
        ({"has_studies": True, "address": "http://tracking:5000"}, "give its folder as --store"),
    ],
)
def test_options_that_do_not_go_together(options, said):
    with pytest.raises(ValueError, match=said):
        UiSettings(**options)
