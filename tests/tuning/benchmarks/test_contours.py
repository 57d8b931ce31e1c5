"""The exam of contours: made-up photographs with people's maps in, a page out; and differences that are paired."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ciliary.envs.data.labelled import read_bsds
from ciliary.tuning.benchmarks import contour_exam
from ciliary.tuning.benchmarks.contour_fields import FIELDS, HEAT, PROCESS, TODAY, completed_at
from ciliary.tuning.benchmarks.contour_people import Judged, judge
from ciliary.tuning.benchmarks.contour_scenes import gap_scenes
from ciliary.tuning.benchmarks.job import run
from ciliary.tuning.benchmarks.settings import CONTOURS, ExamSettings


@pytest.fixture(scope="module")
def bsds(tmp_path_factory):
    """Two pictures of a bright square on grey, in the layout of BSDS500; one person drew its outline."""
    root = tmp_path_factory.mktemp("bsds")
    for folder in ("images/val", "groundTruth/val"):
        (root / folder).mkdir(parents=True)
    for name, shift in (("a", 0), ("b", 6)):
        labels = np.ones((64, 96), np.uint16)
        labels[16:48, 24 + shift : 64 + shift] = 2
        drawn = np.zeros((64, 96), np.uint8)
        drawn[15:48, [23 + shift, 63 + shift]] = 1
        drawn[[15, 47], 23 + shift : 64 + shift] = 1
        pixels = np.where(labels == 2, 200, 90).astype(np.uint8)
        Image.fromarray(pixels).convert("RGB").save(root / f"images/val/{name}.jpg", quality=95)
        person = np.array([(labels, drawn)], dtype=[("Segmentation", object), ("Boundaries", object)])
        cell = np.empty((1, 1), dtype=object)
        cell[0, 0] = person.reshape(1, 1)
        savemat(root / f"groundTruth/val/{name}.mat", {"groundTruth": cell})
    return root


def test_what_has_no_heading_adds_up_both_sides():
    """The heat of two segments is no more than twice that of one: what is linear cannot ask for both sides."""
    scenes = gap_scenes(16, 0.3)
    aligned, alone = (completed_at([scenes[name]], FIELDS[HEAT]) for name in ("aligned", "one alone"))
    assert 1 < aligned / alone < 2.2


@pytest.mark.parametrize("condition", ["none", "fog:3"])
def test_a_square_s_outline_is_found(bsds, condition):
    ways = {"none": None, PROCESS: FIELDS[PROCESS]}
    told = []
    judged = judge(read_bsds(bsds, "val"), ways, condition, size_px=96, seed=0, progress=lambda: told.append(1))
    assert len(told) == 2 + 2 * 2
    for one in judged.values():
        assert one.counts.shape == (2, 4, len(one.cuts))
        assert one.ods.mean > 0.75
    assert judged[PROCESS].over(judged[PROCESS]).mean == 0


def test_a_difference_is_paired():
    """Images that differ widely, and a way that finds one pixel more of each: sure, though both are not."""
    rng = np.random.default_rng(0)
    found = rng.integers(10, 90, (30, 1))
    counts = np.stack([found, np.full_like(found, 100), found, found], 1)
    more = counts + np.array([1, 0, 1, 1])[None, :, None]
    one, other = Judged(more, np.array([0.5])), Judged(counts, np.array([0.5]))
    assert one.ods.low < other.ods.mean
    difference = one.over(other)
    assert 0 < difference.low < difference.high < 0.02


@pytest.mark.slow
def test_the_exam_makes_a_page(bsds, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(contour_exam, "GAPS_PX", (16,))
    monkeypatch.setattr(contour_exam, "N_JUNCTIONS", (6, 9))
    settings = ExamSettings(CONTOURS, data=bsds, size_px=64, out=tmp_path)
    assert run(settings) == 0
    page = (tmp_path / "exam_contours.md").read_text()
    for title in ("Gaps", "Kanizsa's figures", "Junctions named", "People's contours", "Time"):
        assert f"## {title}" in page
    numbers = json.loads((tmp_path / "exam_contours.json").read_text())
    gap = numbers["gaps"][PROCESS]["16"]
    assert gap["aligned"] / gap["at right angles"] > 3
    assert set(numbers["people"]) == {
        f"{c} {w}" for c in ("none", "fog:3") for w in ("none", TODAY, "the lift alone", PROCESS)
    }
    assert (tmp_path / "exam_contours.png").is_file()
    assert "results" in capsys.readouterr().out


def test_what_it_cannot_use_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match="mathematical cortex"):
        ExamSettings(CONTOURS, data=tmp_path, learned=("m2",))
    assert run(ExamSettings(CONTOURS, data=tmp_path, out=tmp_path / "out")) == 2
    assert "give the folder that holds images/" in capsys.readouterr().err
