"""``import ciliary``: one image at a time gives what a session gives."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from PIL import Image

import ciliary
from ciliary.envs.data.reading import UnreadableImage
from ciliary.tuning.sessions.accommodate import run


def halves(image: np.ndarray, at: float = 0.25) -> np.ndarray:
    """Two regions, the left one of ``at`` of the width."""
    labels = np.zeros(image.shape[:2], dtype=int)
    labels[:, round(at * image.shape[1]) :] = 1
    return labels


def test_names_are_there_without_torch_until_they_are_used():
    code = "import sys, ciliary; print(ciliary.__version__, dir(ciliary), 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith(version("ciliary"))
    assert said.endswith("False\n")
    assert {"accommodate", "Accommodator", "Accommodation"} == set(ciliary.__all__)
    with pytest.raises(AttributeError, match="no_such"):
        ciliary.no_such  # noqa: B018


@pytest.mark.parametrize(("before", "expected"), [("", "0"), ("import torch", "None"), ("", "None")])
def test_idle_threads_are_patient_unless_it_is_too_late_or_not_wanted(before, expected, monkeypatch):
    monkeypatch.delenv("KMP_BLOCKTIME", raising=False)
    if not before and expected == "None":
        monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    light = "sys.modules['ciliary.tuning.sessions.accommodator'] = types.SimpleNamespace(accommodate=1)"
    code = f"import os, sys, types\n{light}\n{before}\nimport ciliary\nciliary.accommodate\n"
    code += "print(os.environ.get('KMP_BLOCKTIME'))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == expected


@pytest.mark.parametrize("options", [{"n_trials": 3}, {"controller": "random", "n_trials": 4}], ids=["looks", "search"])
def test_it_is_what_a_session_saves(out, tmp_path, options):
    asked = {"inherited": "none", "size_px": 48, **options}
    code = run(["coffee"], save=tmp_path, out=out, figures="none", quiet=True, **asked)
    assert code == 0
    seen = ciliary.accommodate("coffee", **asked)
    saved = np.asarray(Image.open(tmp_path / "coffee.labels.png"))
    assert saved.shape == seen.photograph.original_size == seen.labels.shape
    assert np.array_equal(saved, seen.labels)
    assert (tmp_path / "coffee.uncertainty.png").is_file() == seen.trace.is_integrated
    assert (seen.uncertainty is not None) == ("controller" not in options)
    assert seen.boundary.shape == seen.photograph.original_size
    assert seen.labels_at((32, 48)).shape == (32, 48)
    assert set(seen.settings) <= set(ciliary.Accommodator(**asked).parameters)


def test_an_array_and_a_function_of_ones_own_will_do():
    image = np.full((40, 60, 3), 0.5)
    image[:, 15:] = 0.9
    accommodator = ciliary.Accommodator(halves, controller="random", answer="best", n_trials=3, size_px=60)
    assert set(accommodator.parameters) == {"at"}
    first, second = accommodator(image), accommodator(image)
    assert np.array_equal(first.labels, second.labels)
    assert first.labels.shape == (40, 60)
    assert set(np.unique(first.labels)) == {0, 1}
    assert np.array_equal(first.labels[0], np.arange(60) >= round(first.settings["at"] * 60))
    assert "2 segments; " in repr(first)
    assert first._repr_html_().count("<table>") >= 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"controler": "tpe"}, TypeError, "no options .*controler.*there are .*controller"),
        ({"out": "somewhere"}, TypeError, "no options .*out"),
        ({"controller": "nobody"}, ValueError, "controller knows no 'nobody'"),
        ({"changes": {"nothing": 1}}, KeyError, "unknown parameter"),
        ({"perceiver": "nobody"}, ValueError, "nobody"),
        ({"perceiver": halves, "controller": "reflex"}, ValueError, "learned with the cortex"),
    ],
)
def test_wrong_options_are_named(options, error, words):
    with pytest.raises(error, match=words):
        ciliary.Accommodator(**options)


def test_what_is_no_image_is_named(tmp_path):
    broken = tmp_path / "notes.png"
    broken.write_text("no image")
    accommodator = ciliary.Accommodator(halves, answer="best", controller="fixed", size_px=48)
    with pytest.raises(UnreadableImage, match=r"notes\.png"):
        accommodator(broken)
    with pytest.raises(UnreadableImage, match="expected an image"):
        accommodator(7)
