"""People against people: a scene worked by hand, and the validation photographs (slow)."""

from __future__ import annotations

import operator
from functools import reduce

import numpy as np
import pytest
import torch
from skimage.morphology import thin

from ciliary.envs.data.labelled import LabelledImage, read_bsds
from ciliary.envs.metrics.boundaries import label_boundaries
from ciliary.envs.metrics.regions import METRICS
from ciliary.tuning.evaluation.people import agreement

HALVES = np.array([[0, 0, 1, 1]] * 4)
ONE_REGION = np.zeros_like(HALVES)


def drawn_by(*maps: np.ndarray, name: str = "scene") -> LabelledImage:
    return LabelledImage(name, None, torch.zeros(3, 4, 4), maps, tuple(thin(label_boundaries(one)) for one in maps))


def test_two_of_one_mind_and_a_third_by_hand():
    found = agreement(drawn_by(HALVES, HALVES, ONE_REGION))
    assert found.n_people == 3
    # Either of the two meets one equal and one other; the third meets two others.
    assert found.scores["covering"] == pytest.approx((0.75 + 0.75 + 0.5) / 3)
    assert found.scores["voi"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    alike = 56 / 120  # of 120 pairs 64 lie in two halves
    assert found.scores["pri"] == pytest.approx(((1 + alike) / 2 * 2 + alike) / 3)
    assert found.boundaries is not None
    assert (found.boundaries.recall, found.boundaries.precision) == (8 / 16, 1)
    assert found.boundaries.f == pytest.approx(2 / 3)


def test_people_who_agree_leave_nothing_to_gain():
    found = agreement(drawn_by(HALVES, HALVES))
    assert found.scores == {"covering": 1, "pri": 1, "voi": 0}
    assert found.boundaries is not None
    assert found.boundaries.f == 1


def test_without_boundaries():
    found = agreement(drawn_by(HALVES, ONE_REGION), with_boundaries=False)
    assert found.scores["covering"] == 0.5
    assert found.boundaries is None


def test_one_person_is_no_ceiling():
    with pytest.raises(ValueError, match="at least 2"):
        agreement(drawn_by(HALVES))


@pytest.mark.slow
def test_the_ceiling_of_the_photographs(bsds_root):
    """Published for the 200 test photographs: covering .72, PRI .88, VoI 1.17, F .80 (Arbelaez et al. 2011)."""
    regions = [agreement(one, with_boundaries=False).scores for one in read_bsds(bsds_root, "val")]
    some = [agreement(one).boundaries for one in read_bsds(bsds_root, "val", n_images=20)]
    mean = {name: np.mean([row[name] for row in regions]) for name in METRICS}
    f = reduce(operator.add, some).f
    print(mean, f)
    assert mean["covering"] == pytest.approx(0.72, abs=0.03)
    assert mean["pri"] == pytest.approx(0.88, abs=0.02)
    assert mean["voi"] == pytest.approx(1.17, abs=0.12)
    assert f == pytest.approx(0.80, abs=0.04)
