"""The official BSDS500 evaluator's own results on five images (development data, slow)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from ciliary.envs.metrics.boundaries import boundary_counts, label_boundaries, match_boundaries, summarise
from ciliary.envs.metrics.regions import People, region_scores
from ciliary_tests.hierarchy import contour_strength, cut_regions, summarise_regions

LEVELS = np.arange(1, 6) / 6
PRINTED = 2e-6  # the official files hold six digits

pytestmark = pytest.mark.slow


@dataclass
class Certificate:
    contours: np.ndarray  # (2H + 1, 2W + 1)
    segmentations: list[np.ndarray]  # one a level
    people: list[np.ndarray]
    boundaries: list[np.ndarray]


@pytest.fixture(scope="module")
def folder(bsds_root) -> Path:
    found = bsds_root / "certify"
    if not found.is_dir():
        pytest.skip(f"no {found.name}/ with the official evaluator's results beside the photographs")
    return found


@pytest.fixture(scope="module")
def images(folder) -> list[Certificate]:
    found = []
    for path in sorted((folder / "ucm2").glob("*.mat")):
        drawn = loadmat(folder / "groundTruth" / path.name)["groundTruth"][0]
        found.append(
            Certificate(
                loadmat(path)["ucm2"],
                list(loadmat(folder / "segs" / path.name)["segs"].ravel()),
                [one["Segmentation"][0, 0] for one in drawn],
                [one["Boundaries"][0, 0] > 0 for one in drawn],
            )
        )
    assert len(found) == 5
    return found


@pytest.mark.parametrize(("test", "from_contours"), [("test_1", True), ("test_4", False), ("test_5", False)])
def test_regions_to_the_last_digit(folder, images, test, from_contours):
    scores = []
    for one in images:
        people = People.of(one.people)
        cuts = [cut_regions(one.contours, level) for level in LEVELS] if from_contours else one.segmentations
        scores.append([region_scores(labels, people) for labels in cuts])
    levels = LEVELS if from_contours else np.arange(1, 6)
    n_people = [len(one.people) for one in images]
    found = summarise_regions(scores, levels, n_people=n_people)

    level, ods, ois, _ = np.loadtxt(folder / test / "eval_cover.txt")  # the last: each region at its own best level
    assert found["covering"].ods_level == pytest.approx(level, abs=PRINTED)
    assert (found["covering"].ods, found["covering"].ois) == pytest.approx((ods, ois), abs=PRINTED)
    _, pri_ods, pri_ois, _, voi_ods, voi_ois = np.loadtxt(folder / test / "eval_RI_VOI.txt")
    assert (found["pri"].ods, found["pri"].ois) == pytest.approx((pri_ods, pri_ois), abs=PRINTED)
    assert (found["voi"].ods, found["voi"].ois) == pytest.approx((voi_ods, voi_ois), abs=1e-5)

    by_level = {name: np.array([[at[name] for at in row] for row in scores]) for name in ("covering", "pri", "voi")}
    curve = np.average(by_level["covering"], axis=0, weights=n_people)
    np.testing.assert_allclose(curve, np.loadtxt(folder / test / "eval_cover_th.txt")[:, 1], atol=PRINTED)
    others = np.loadtxt(folder / test / "eval_RI_VOI_thr.txt")
    np.testing.assert_allclose(by_level["pri"].mean(0), others[:, 1], atol=PRINTED)
    np.testing.assert_allclose(by_level["voi"].mean(0), others[:, 2], atol=1e-5)
    best = np.loadtxt(folder / test / "eval_cover_img.txt")[:, 2]
    np.testing.assert_allclose(by_level["covering"].max(1), best, atol=PRINTED)


@pytest.mark.parametrize(("test", "from_contours"), [("test_1", True), ("test_4", False)])
def test_boundaries_within_two_thousandths(folder, images, test, from_contours):
    """The official matching draws candidate pairs at random, so its digits are not to be met exactly."""
    counts = []
    for one in images:
        if from_contours:
            counts.append(boundary_counts(contour_strength(one.contours), one.boundaries, LEVELS))
        else:
            cuts = [match_boundaries(label_boundaries(labels), one.boundaries) for labels in one.segmentations]
            counts.append(type(cuts[0])(*np.array([list(vars(cut).values()) for cut in cuts]).T))
    found = summarise(counts, LEVELS if from_contours else np.arange(1, 6))
    *_, ods, _, _, ois, ap = np.loadtxt(folder / test / "eval_bdry.txt")
    print(f"ODS {found.ods:.4f} ({ods:.4f}), OIS {found.ois:.4f} ({ois:.4f}), AP {found.ap:.4f} ({ap:.4f})")
    assert (found.ods, found.ois, found.ap) == pytest.approx((ods, ois, ap), abs=0.002)
    curve = np.loadtxt(folder / test / "eval_bdry_thr.txt")
    np.testing.assert_allclose(found.recall, curve[:, 1], atol=0.002)
    np.testing.assert_allclose(found.precision, curve[:, 2], atol=0.002)
    best = np.loadtxt(folder / test / "eval_bdry_img.txt")[:, 4]
    np.testing.assert_allclose([one.f.max() for one in counts], best, atol=0.003)
