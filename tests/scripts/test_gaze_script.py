"""The command line of gaze: figures, fixations, the table beside people, and what the exit code says."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from ciliary.envs.metrics.gaze import GAZE_METRICS
from ciliary.tuning.cli import app
from ciliary.tuning.evaluation.gaze_detail import GRID, IDEAL, OWN, PERSON, RANDOM, STAY
from ciliary.tuning.evaluation.gaze_percept import ACUITY_ALONE
from ciliary.tuning.gaze import session
from ciliary.tuning.gaze.maps import ABLATIONS
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.sessions.inputs import SHOWCASE, is_output
from ciliary_tests.gazed import write_gazed
from ciliary_tests.loading import SCRIPTS

SCRIPT = SCRIPTS / "gaze.py"
QUICK = ["--size", "64", "--fixations", "3"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two small photographs, the second upright."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("photos")
    for name, shape in (("wide", (3, 4, 3)), ("tall", (4, 3, 3))):
        page = np.kron(rng.integers(0, 255, shape), np.ones((40, 40, 1))).astype(np.uint8)
        Image.fromarray(page).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_gazed(tmp_path_factory.mktemp("people"))


@pytest.fixture
def unseen(monkeypatch):
    """No figures: one test draws them."""
    monkeypatch.setattr(session, "write_figure", lambda figure, path: write_atomically(path, b""))
    monkeypatch.setattr(session, "draw_gaze", lambda look, **words: None)
    monkeypatch.setattr(session, "write_gaze_film", lambda look, path, **words: None)


def test_each_image_has_a_figure_and_fixations_and_a_broken_one_is_named(script, photos, tmp_path, out, capsys):
    (tmp_path / "text.jpg").write_text("no image")
    save = tmp_path / "maps"
    arguments = [str(photos), str(tmp_path / "text.jpg"), *QUICK, "--out", str(out), "--save", str(save)]
    assert script.main(arguments) == 3
    printed = capsys.readouterr()
    *pages, state, _, command = printed.out.splitlines()
    assert pages == [f"gaze     {out / name}.png" for name in ("tall", "wide")]
    assert state == "session gaze done: 2 episodes, 1 failed"
    assert command.endswith(f"ciliary ui --store {out}")
    (line,) = printed.err.splitlines()
    assert line.startswith("gaze: ")
    assert "text.jpg" in line
    assert {path.name for path in out.iterdir() if path.suffix in (".png", ".gif", ".json")} == {
        f"{name}.{kind}" for name in ("tall", "wide") for kind in ("png", "gif", "json")
    }
    with Image.open(out / "wide.gif") as film:
        assert film.n_frames == 3
        assert film.size[0] == 720
    assert {path.name for path in save.iterdir()} == {"tall.priority.png", "wide.priority.png"}
    with Image.open(save / "wide.priority.png") as saved:
        assert (saved.size, saved.mode) == ((160, 120), "L")
        assert np.asarray(saved).max() > 200
    assert is_output(save / "wide.priority.png")
    page = json.loads((out / "wide.json").read_text(encoding="utf-8"))
    first, *rest = page["fixations"]
    assert (first["order"], first["y_px"], first["x_px"], first["y_deg"], first["x_deg"]) == (0, 60, 80, 0, 0)
    assert page["px_per_deg"] == pytest.approx(160 / (100 / 3), rel=1e-4)
    assert len(rest) == 2
    for one in rest:
        assert 0 <= one["y_px"] < 120
        assert 0 <= one["x_px"] < 160
        assert one["x_deg"] == pytest.approx((one["x_px"] - 80) / page["px_per_deg"], abs=0.02)


def test_each_photograph_is_a_run(script, photos, out, unseen, capsys):
    """Acuity, degrees and samples after each fixation, figure and path; a session that was stopped goes on."""
    from mlflow import MlflowClient

    assert script.main([str(photos), *QUICK, "--sight", "own", "--out", str(out), "--session", "own"]) == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "ciliary-gaze"]
    runs = {run.data.tags["mlflow.runName"]: run for run in client.search_runs([experiment.experiment_id])}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert set(runs) == {"own", "tall gaze", "wide gaze"}
    run = runs["wide gaze"]
    assert run.data.tags["ciliary.session"] == "own"
    assert (run.data.params["sight"], run.data.params["n_fixations"], run.data.params["image"]) == ("own", "3", "wide")
    told = {name: [m.value for m in client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics}
    page = json.loads((out / "wide.json").read_text(encoding="utf-8"))
    places = np.array([[one["y_deg"], one["x_deg"]] for one in page["fixations"]])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert told["gaze/degrees"] == pytest.approx([0, *np.cumsum(steps)], abs=0.01)
    assert told["gaze/samples"] == [2592, 2 * 2592, 3 * 2592]
    assert (np.diff(told["gaze/acuity"]) > 0).all()
    *losses, result = told["loss/total"]  # the result is the last step of its own
    assert losses == pytest.approx([1 - x for x in told["gaze/acuity"]])
    assert [result] == pytest.approx(told["after/total"])
    assert told["theta/gaze_x_deg"] == pytest.approx([*places[:, 1], places[-1, 1]], abs=0.01)
    kept = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert {"figures", "episode.json", "history.csv"} <= kept
    capsys.readouterr()
    assert script.main([str(photos), *QUICK, "--sight", "own", "--out", str(out), "--session", "own", "--resume"]) == 0
    assert "session own done: 2 episodes" in capsys.readouterr().out
    assert len(client.search_runs([experiment.experiment_id])) == 3


def test_options_of_the_path(script, photos, out, unseen, capsys):
    def path(*arguments):
        assert script.main([str(photos / "wide.png"), *QUICK, "--quiet", "--out", str(out), *arguments]) == 0
        return json.loads((out / "wide.json").read_text(encoding="utf-8"))

    plain = path()
    assert path()["fixations"] == plain["fixations"]
    far = path("--px-per-deg", "40")
    assert far["px_per_deg"] == pytest.approx(40)
    assert far["fixations"] != plain["fixations"]
    held = path("--centre", "40")["fixations"][1:]
    assert max(abs(one["x_deg"]) for one in held) <= max(abs(one["x_deg"]) for one in plain["fixations"])
    assert path("--map", "learned")["map"] == "learned"
    assert len(path("--fixations", "1")["fixations"]) == 1
    own = path("--sight", "own")
    assert own["sight"] == "own"
    assert own["fixations"][1:] != plain["fixations"][1:]
    assert capsys.readouterr().out == ""


def test_bundled_photographs_when_none_is_given(script, out, unseen, capsys):
    assert script.main([*QUICK, "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [f"gaze     {out / name}.png" for name in SHOWCASE]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["missing.png"], 1, "missing.png"),
        (["--fixations", "0"], 2, "at least 1"),
        (["--centre", "-1"], 2, "at least 0"),
        (["--px-per-deg", "0"], 2, "above 0"),
        (["--map", "salience"], 2, "choose from priority, learned"),
        (["--weights", "nowhere.json"], 2, "nowhere.json"),
        (["a.png", "--people", "x"], 2, "leave IMAGE out"),
        (["--images", "3"], 2, "--people DIR"),
        (["--people", "nowhere"], 1, "no fixations.npz"),
        (["--people", "nowhere", "--detail", "none"], 1, "no fixations.npz"),
        (["--detail", "none"], 2, "--people DIR"),
        (["--ablations"], 2, "--people DIR"),
        (["--people", "nowhere", "--ablations", "--detail", "none"], 2, "leave --detail out"),
        (["--expectation", "x"], 2, "--sight own"),
        (["--sight", "own", "--expectation", "nowhere"], 2, "nowhere"),
        (["--sight", "own", "--map", "learned"], 2, "train expectation"),
        (["--session", "no/name"], 2, "session name"),
        (["--compare", "discount"], 2, "--detail none"),
        (["--half", "choose"], 2, "--people DIR"),
        (["--people", "x", "--percept", "none"], 2, "--compare together"),
    ],
)
def test_what_is_wrong_is_said(script, tmp_path, capsys, arguments, code, complaint):
    assert script.main([*arguments, "--out", str(tmp_path)]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gaze: ")
    assert complaint in line
    assert not any(tmp_path.iterdir())


def test_detail_beside_people(script, people, tmp_path, capsys):
    """One patch in the field: whoever goes there knows it, and the others' own fixations are a ceiling."""
    arguments = ["--people", str(people), "--size", "64", "--detail", "none", "--glances", "3", "--images", "2"]
    assert script.main([*arguments, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    page = (tmp_path / "detail.md").read_text(encoding="utf-8")
    assert page.strip() in printed
    with (tmp_path / "detail.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    acuity = {}
    for row in rows:
        acuity.setdefault(row["policy"], []).append(float(row["acuity"]))
        assert 0 <= float(row["covering"]) <= 1
        assert (row["scanmatch"] == "") == row["policy"].startswith("uniform camera")
    mean = {name: np.mean(values) for name, values in acuity.items()}
    assert mean[IDEAL] > mean[OWN] > mean[STAY]
    assert mean[PERSON] > mean[RANDOM]
    assert {len(values) for values in acuity.values()} == {2}


@pytest.mark.parametrize(
    ("what", "policies"), [("discount", {OWN, GRID, PERSON}), ("together", {OWN})], ids=["discount", "together"]
)
def test_two_percepts_are_told_beside_people(script, people, tmp_path, capsys, what, policies):
    arguments = ["--people", str(people), "--size", "64", "--detail", "none", "--glances", "2", "--images", "2"]
    arguments += ["--half", "choose", "--compare", what]
    assert script.main([*arguments, "--out", str(tmp_path)]) == 0
    page = (tmp_path / f"detail_{what}.md").read_text(encoding="utf-8")
    assert page.strip() in capsys.readouterr().out
    assert "2 photographs of the half that things are chosen on" in page
    assert (ACUITY_ALONE in page) == (what == "together")
    with (tmp_path / f"detail_{what}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["policy"] for row in rows} == policies
    for row in rows:
        assert 0 < float(row["plain"]) <= 1
        assert 0 < float(row["other"]) <= 1


def test_what_is_perceived_is_drawn_and_saved(script, photos, tmp_path, out, unseen, capsys):
    save = tmp_path / "maps"
    arguments = [str(photos / "wide.png"), *QUICK, "--percept", "none", "--save", str(save), "--out", str(out)]
    assert script.main([*arguments, "--quiet"]) == 0
    maps = {f"wide.{role}.png" for role in ("labels", "boundary", "regions", "uncertainty", "priority")}
    assert {path.name for path in save.iterdir()} == {*maps, "wide.json"}
    assert all(is_output(save / name) for name in maps)
    with Image.open(save / "wide.uncertainty.png") as saved:
        assert (saved.size, saved.mode) == ((160, 120), "L")
    assert json.loads((save / "wide.json").read_text(encoding="utf-8"))["uncertainty"] == "wide.uncertainty.png"


@pytest.mark.slow
def test_an_expectation_is_taught_and_used(photos, tmp_path, unseen, capsys):
    for i in range(10):
        page = np.random.default_rng(i).integers(0, 255, (60, 80, 3)).astype(np.uint8)
        Image.fromarray(page).save(tmp_path / f"{i}.png")
    arguments = ["train", "expectation", str(tmp_path), "--views", "1", "--epochs", "1", "--out", str(tmp_path / "out")]
    assert app.main(arguments) == 0
    assert "nats from the photograph's own priority" in capsys.readouterr().out
    weights = str(tmp_path / "out" / "expectation.safetensors")
    looked = [str(photos / "wide.png"), *QUICK, "--sight", "own", "--expectation", weights, "--out", str(tmp_path)]
    assert app.main(["gaze", *looked]) == 0
    assert app.main(["train", "expectation", str(photos), "--out", str(tmp_path)]) == 1
    assert "at least 10 photographs" in capsys.readouterr().err


def test_maps_beside_people(script, people, tmp_path, capsys):
    assert script.main(["--people", str(people), "--size", "64", "--images", "3", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    page = (tmp_path / "gaze.md").read_text(encoding="utf-8")
    assert "3 photographs of the half on which nothing was chosen, of 8" in page
    for words in ("NSS", "sAUC", "IG (bits)", "ScanMatch", "| priority × centre |", "| people |", "| Itti-Koch |"):
        assert words in page
        assert words in printed
    with (tmp_path / "gaze.csv").open(encoding="utf-8") as file:
        rows = {(row["map"], row["metric"]): float(row["mean"]) for row in csv.DictReader(file)}
    names = {name for name, _ in rows}
    assert {"uniform", "centre", "energy", "rarity", "ends", "colour", "priority", "learned", "people"} <= names
    assert {("priority", metric) for metric in GAZE_METRICS} <= set(rows)
    assert rows["priority", "nss"] > rows["centre", "nss"]
    assert rows["people", "nss"] > rows["centre", "nss"]
    assert rows["stare at the centre", "scanmatch"] < rows["people", "scanmatch"] <= 1


def test_each_ingredient_of_priority_is_left_out(script, people, tmp_path, capsys):
    """The whole less what a row lacks, of the same photographs: the differences of the table's own means."""
    arguments = ["--people", str(people), "--size", "64", "--images", "3", "--ablations", "--out", str(tmp_path)]
    assert script.main(arguments) == 0
    assert "What each ingredient is worth" in capsys.readouterr().out
    assert "The centre adds to priority" in (tmp_path / "gaze.md").read_text(encoding="utf-8")
    with (tmp_path / "gaze.csv").open(encoding="utf-8") as file:
        told = {(row["map"], row["metric"]): float(row["mean"]) for row in csv.DictReader(file)}
    with (tmp_path / "gaze_ablations.csv").open(encoding="utf-8") as file:
        rows = {row["priority_is_above"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(ABLATIONS)
    for name, row in rows.items():
        assert float(row["nss"]) == pytest.approx(told["priority", "nss"] - told[name, "nss"], abs=1e-4)
        more = told["priority x centre", "ig"] - told[name + " x centre", "ig"]
        assert float(row["ig_with_centre"]) == pytest.approx(more, abs=1e-4)
        assert float(row["nss_low"]) <= float(row["nss"]) <= float(row["nss_high"])
    assert float(rows["priority without exponent"]["sauc"]) == pytest.approx(0, abs=1e-9)  # a power keeps the order


def test_a_mixture_is_fitted_and_looks(people, script, photos, tmp_path, out, unseen, capsys):
    trained = tmp_path / "trained"
    assert app.main(["train", "gaze", "--people", str(people), "--size", "64", "--out", str(trained)]) == 0
    assert "13 weights fitted on 4 photographs, told on 4" in capsys.readouterr().out
    assert {path.name for path in trained.iterdir()} == {"gaze.json", "gaze_mixture.md", "gaze_mixture.csv"}
    arguments = [str(photos / "wide.png"), "--weights", str(trained / "gaze.json"), *QUICK, "--out", str(out)]
    assert script.main(arguments) == 0
    assert json.loads((out / "wide.json").read_text(encoding="utf-8"))["map"] == "learned"


def test_training_says_what_is_wrong(tmp_path, people, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert app.main(["train", "gaze", *out]) == 2
    assert app.main(["train", "gaze", "--people", str(tmp_path), *out]) == 1
    assert app.main(["train", "gaze", "--people", str(people), "--features", "no_such_model", *out]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_help_lists_it_and_the_page_tells_it(script, repository, capsys):
    assert app.main(["--help"]) == 0
    assert "gaze" in capsys.readouterr().out
    assert script.main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("--people", "--px-per-deg", "--centre", "0 all well", "3 some images failed"):
        assert word in text
    page = (repository / "docs" / "eye.md").read_text(encoding="utf-8")
    for word in ("ciliary gaze", "ciliary train gaze", "--people"):
        assert word in page
    assert "ciliary gaze" in (repository / "README.md").read_text(encoding="utf-8")
