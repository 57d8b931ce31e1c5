"""Fixation data: what is read, how it is halved, what people tell of each other, and errors that say what to do."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ciliary.envs.data.gaze import read_gaze
from ciliary.envs.metrics.gaze import Gazed, gaze_scores
from ciliary.envs.metrics.gaze_baselines import all_counts, centre_bias, people_out, people_scores

TABLE = {
    "names": np.array(["b.png", "a.png"]),
    "image": np.array([1, 0, 0, 1, 0], np.int16),
    "subject": np.array([0, 3, 1, 2, 1], np.int8),
    "order": np.array([0, 0, 1, 0, 0], np.int16),
    "y_px": np.array([1.5, 2.5, 3.5, 4.5, 5.5], np.float32),
    "x_px": np.array([10, 11, 12, 13, 14], np.float32),
    "duration_ms": np.array([100, 200, 300, 400, 500], np.float32),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.full((40, 48, 3), 128, np.uint8)).save(tmp_path / "images" / name)
    np.savez(tmp_path / "fixations.npz", **TABLE)
    return tmp_path


def test_reads_each_persons_path_in_order(folder):
    gazed = read_gaze(folder)
    assert gazed.names == ("b", "a")
    found = gazed[0]
    assert found.image.shape == (3, 40, 48)
    assert found.fixations.subject.tolist() == [1, 1, 3]
    assert found.fixations.order.tolist() == [0, 1, 0]
    assert found.fixations.of(1).y_px.tolist() == [5.5, 3.5]
    assert found.fixations.without(1).duration_ms.tolist() == [200]
    assert found.fixations.subjects == (1, 3)
    assert gazed[1:].names == ("a",)


def test_halves_share_nothing_and_do_not_depend_on_the_others(folder):
    gazed = read_gaze(folder)
    halves = gazed.half("choose").names, gazed.half("tell").names
    assert sorted(halves[0] + halves[1]) == ["a", "b"]
    assert gazed[1:].half("choose").names == tuple(name for name in halves[0] if name == "a")
    with pytest.raises(ValueError, match="'choose' and 'tell'"):
        gazed.half("test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_px": None}, "lacks y_px"),
        ({"image": np.array([1, 0, 0, 2, 0])}, "there are 2 names"),
        ({"image": np.zeros(5, int)}, "nobody looked at a.png"),
        ({"x_px": np.ones(4)}, "one entry a fixation"),
        ({"y_px": np.array([1, 2, 3, np.nan, 5])}, "not finite"),
        ({"names": np.array(["b.png", "b.jpg"])}, "names repeat"),
        ({"names": np.array(["b.png", "c.png"])}, "there is no"),
        ({"names": np.array([1, 2])}, "must be texts"),
    ],
)
def test_errors_of_the_table(folder, change, message):
    np.savez(folder / "fixations.npz", **{k: v for k, v in (TABLE | change).items() if v is not None})
    with pytest.raises(ValueError, match=message):
        read_gaze(folder)


def test_errors_of_the_folder(folder):
    np.savez(folder / "fixations.npz", **(TABLE | {"x_px": TABLE["x_px"] + 40}))
    with pytest.raises(ValueError, match="48 px wide"):
        read_gaze(folder)[0]
    (folder / "fixations.npz").write_bytes(b"broken")
    with pytest.raises(ValueError, match="plain arrays"):
        read_gaze(folder)
    with pytest.raises(ValueError, match=r"no fixations\.npz"):
        read_gaze(folder / "images")


def test_the_centre_bias_is_of_the_other_images():
    counts = np.zeros((3, 4, 4))
    counts[0, 0, 0], counts[1, 1, 1], counts[2, 1, 1] = 2, 3, 1
    bias = centre_bias(counts, sigma=0, uniform_share=0.16)
    assert bias.sum((1, 2)) == pytest.approx(1)
    assert bias[0, 0, 0] == pytest.approx(0.01)  # its own fixations do not count
    assert bias[0, 1, 1] == pytest.approx(0.85)
    assert bias[1, 0, 0] == pytest.approx(0.84 * 2 / 3 + 0.01)
    with pytest.raises(ValueError, match="at least 2"):
        centre_bias(counts[:1], sigma=1)


def test_people_are_told_by_the_others(folder):
    fixations = read_gaze(folder).fixations[0]
    centre = np.full((20, 24), 1 / 480)
    for own, density in people_out(fixations, photograph=(40, 48), centre=centre, sigma=0):
        assert density.sum() == pytest.approx(1)
        others_at = {1: (1, 5), 3: (2, 7)}
        assert density[others_at[own.subjects[0]]] > 0.3
        assert density[0, 0] == pytest.approx(0.2 / 480)
    scores = people_scores(fixations, photograph=(40, 48), centre=centre, sigma=0)
    assert scores["ig"] == pytest.approx(np.log2(0.2))  # nobody looked where another did


@pytest.mark.slow
def test_osie_has_the_known_floor_and_ceiling(data_root):
    root = data_root / "active" / "osie"
    if not root.is_dir():
        pytest.skip(f"no OSIE at {root}; expected fixations.npz and images/ in it")
    gazed, photograph, size = read_gaze(root), (600, 800), (60, 80)
    assert len(gazed) == 350
    assert sum(map(len, gazed.fixations)) == 49_116
    counts = all_counts(gazed.fixations, photograph=photograph, size=size)
    bias = centre_bias(counts, sigma=2.4)
    floor, ceiling = [], []
    for i in range(0, 350, 10):
        y, x = np.nonzero(counts[i])
        y, x = (np.repeat(place, counts[i][counts[i] > 0].astype(int)) for place in (y, x))
        floor.append(gaze_scores(Gazed.of(bias[i], y, x))["nss"])
        ceiling.append(people_scores(gazed.fixations[i], photograph=photograph, centre=bias[i], sigma=2.4))
    assert np.mean(floor) == pytest.approx(0.88, abs=0.12)
    assert np.mean([row["nss"] for row in ceiling]) == pytest.approx(3.6, abs=0.3)
    assert np.mean([row["ig"] for row in ceiling]) == pytest.approx(2.05, abs=0.2)
