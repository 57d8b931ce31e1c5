"""What runs are named by without a cortex: distances by hand, and strokes that lie elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from ciliary.tuning.benchmarks.data import ReadSettings, read_named
from ciliary.tuning.benchmarks.episodes import draw_episodes
from ciliary.tuning.benchmarks.ink import HAUSDORFF, PIXELS, ink_scores, modified_hausdorff
from ciliary_tests.shapes import write_runs


def test_modified_hausdorff_by_hand():
    a, b = np.array([[0.0, 0.0], [0.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 4.0], [3.0, 4.0]])
    assert modified_hausdorff(a, b) == pytest.approx(1.0)  # 0 one way, (0 + 0 + 3) / 3 the other
    assert modified_hausdorff(b, a) == pytest.approx(1.0)
    assert modified_hausdorff(a, a + 0.0) == 0
    assert modified_hausdorff(a, np.empty((0, 2))) == np.inf


def test_scores_are_of_what_is_asked(tmp_path):
    runs = read_named(write_runs(tmp_path / "all_runs.zip"), ReadSettings(size_px=48))
    episodes = draw_episodes(runs, 1, 1, seed=0)
    found = ink_scores(runs, episodes)
    assert set(found) == {PIXELS, HAUSDORFF}
    for scores in found.values():
        assert scores.shape == (2, 6, 3)
        for own, one in zip(scores, episodes, strict=True):
            assert np.isfinite(own[one.query]).all()
            rest = np.setdiff1d(np.arange(6), one.query)
            assert np.isneginf(own[rest]).all()
    named = found[HAUSDORFF][0, episodes[0].query].argmax(1)
    assert named.tolist() == runs.test.labels[episodes[0].query].tolist()
