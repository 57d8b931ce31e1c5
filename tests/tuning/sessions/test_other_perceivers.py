"""The whole job with a perceiver that is not the cortex; what is the cortex's own is refused."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ciliary.tuning.sessions.accommodate import run
from ciliary.tuning.sessions.settings import SessionSettings

MINE = """
import numpy as np
from skimage.filters import gaussian
from skimage.measure import label

def segment(image, *, sigma_px=2.0, n_levels=4):
    grey = gaussian(image.mean(-1), sigma=sigma_px)
    levels = np.minimum((grey * n_levels).astype(int), n_levels - 1)
    return label(levels, background=-1)
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A user's folder: a photograph and a module."""
    Image.fromarray(data.coffee()[::6, ::6]).save(tmp_path / "photo.png")
    (tmp_path / "segmenter_of_a_user.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("segmenter_of_a_user", None)


def accommodate(desk, perceiver, **settings):
    asked = {"out": desk / "runs", "save": desk / "maps", "n_trials": 4, "size_px": 64, "is_animated": False}
    return run(["photo.png"], quiet=True, perceiver=perceiver, **{**asked, **settings})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("perceiver", "names", "ranges"),
    [
        ("felzenszwalb", ("scale", "min_size_px", "sigma_px"), ((30, 2000), (8, 800), (0.2, 3))),
        ("segmenter_of_a_user:segment", ("sigma_px", "n_levels"), ((0.5, 8), (1, 16))),
    ],
)
def test_the_whole_job(desk, perceiver, names, ranges):
    assert accommodate(desk, perceiver, answer="best") == 0
    (session,) = (desk / "runs").glob("*/episodes.jsonl")
    (record,) = map(json.loads, session.read_text().splitlines())
    assert record["status"] == "FINISHED"
    assert record["objective"].startswith("agreement seen by " + perceiver)
    assert tuple(record["parameters"]) == names
    for (low, high), value in zip(ranges, record["parameters"].values(), strict=True):
        assert low <= value <= high
    assert record["after"]["total"] <= record["before"]["total"]
    assert (session.parent / "figures" / "photo.png").is_file()
    assert not (session.parent / "stages").exists()  # it has none
    labels = np.asarray(Image.open(desk / "maps" / "photo.labels.png"))
    assert labels.shape == (67, 100)
    assert labels.max() > 0
    assert (desk / "maps" / "photo.boundary.png").is_file()
    assert (desk / "runs" / "mlflow.db").is_file()


@pytest.mark.slow
def test_all_looks_together(desk):
    assert accommodate(desk, "segmenter_of_a_user:segment", n_trials=6, use_guard=False) == 0
    (session,) = (desk / "runs").glob("*/episodes.jsonl")
    (record,) = map(json.loads, session.read_text().splitlines())
    assert (record["answer"], record["controller"]) == ("integrated", "panel")
    assert record["objective"].startswith("looks ")
    assert " seen by segmenter_of_a_user:segment" in record["objective"]
    glances = ("glance_scale", "glance_blur_px", "glance_gamma", "glance_stretch")
    assert tuple(record["parameters"]) == ("sigma_px", "n_levels", *glances)
    assert len(record["history"]["agreement"]) == record["n_trials"] == 6
    assert record["after"]["agreement"] == pytest.approx(record["history"]["agreement"][-1])
    saved = json.loads((desk / "maps" / "photo.json").read_text())
    assert {"stability", "consistency"} <= set(saved["before"]) & set(saved["after"])
    assert np.asarray(Image.open(desk / "maps" / saved["uncertainty"])).shape == (67, 100)
    assert (session.parent / "figures" / "photo.png").is_file()


def test_another_source_is_another_setting(desk):
    settings = SessionSettings(perceiver="segmenter_of_a_user:segment")
    first, mark = settings.fingerprint(), settings.mark
    assert settings.fingerprint() == first
    (desk / "segmenter_of_a_user.py").write_text(MINE.replace("n_levels=4", "n_levels=5"))
    assert settings.fingerprint() != first
    assert settings.mark != mark
    assert len({SessionSettings(perceiver=name).fingerprint() for name in ("cortex", "slic", "watershed")}) == 3


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"objective": "calibrated"}, "no calibration of watershed comes along"),
        ({"objective": "recognition"}, "needs a perceiver that answers 'recognition'"),
        ({"controller": "gradient"}, "the controller gradient needs a perceiver that answers 'gradient'"),
        ({"controller": "reflex"}, "what reflex plays was learned with the mathematical cortex"),
        ({"controller": "policy", "objective": "raw"}, "what policy plays was learned with the mathematical cortex"),
        ({"learned": ("m2",)}, "--learned is of the cortex, and watershed is to see"),
        ({"depth": "pictorial"}, "--depth is of the cortex"),
        ({"changes": {"n_regions": 4}}, "choose from depth, sigma_px"),
        ({"changes": {"depth": 400}}, "depth must lie in 0.3..8"),
        ({"perceiver": "fezenszwalb"}, "choose from cortex, felzenszwalb, slic, watershed"),
    ],
)
def test_what_is_the_cortexs_is_refused_in_one_line(desk, settings, line, capsys):
    assert accommodate(desk, **{"perceiver": "watershed", **settings}) == 2
    complaint = capsys.readouterr().err
    assert line in " ".join(complaint.split())
    assert not (desk / "runs").exists()


@pytest.mark.slow
def test_a_study_and_memories_hold_the_perceivers_own_columns(desk):
    first = {"storage": f"{desk}/studies.log", "controller": "hybrid"}
    assert accommodate(desk, "felzenszwalb", **first) == 0
    assert accommodate(desk, "felzenszwalb", **first, seed=1) == 0
    assert accommodate(desk, "felzenszwalb", controller="memory") == 0
    last = [
        json.loads(text) for path in (desk / "runs").glob("*/episodes.jsonl") for text in path.read_text().splitlines()
    ]
    assert [tuple(record["parameters"]) for record in last] == [("scale", "min_size_px", "sigma_px")] * 3
