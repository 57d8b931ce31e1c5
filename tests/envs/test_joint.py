"""The joint objective: raw terms and dissent from a panel, half and half."""

from __future__ import annotations

import numpy as np

from ciliary.cortex import SegmenterPerceiver
from ciliary.envs.single import AccommodationEnv
from ciliary_tests.segmentations import bands

SETTINGS = np.linspace(-0.9, 0.9, 10, dtype=np.float32).reshape(5, 2)


def terms_of(objective):
    mine = SegmenterPerceiver(bands, {"threshold": (0.2, 0.8, 0.5), "n": (1, 12, 3)})
    env = AccommodationEnv(perceiver=mine, objective=objective, size_px=48)
    env.reset(seed=0, options={"image": "coffee"})
    return env.evaluate(SETTINGS).terms


def test_it_is_the_mean_of_its_two_halves():
    joint, agreement = terms_of("joint"), terms_of("agreement")
    np.testing.assert_allclose(joint["total"], (joint["raw_total"] + joint["dissent"]) / 2, atol=1e-6)
    np.testing.assert_allclose(joint["dissent"], agreement["total"], atol=1e-6)  # views do not change who agrees
    weighed = 0.2 * (joint["stability"] + joint["consistency"] + joint["economy"]) + 0.4 * joint["collapse"]
    np.testing.assert_allclose(joint["raw_total"], weighed, atol=1e-6)


def test_agreement_alone_takes_no_views():
    terms = terms_of("agreement")
    assert "stability" not in terms
    assert "dissent" not in terms  # it is the total
    assert terms["total"].std() > 1e-3
