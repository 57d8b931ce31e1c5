"""ScanMatch: by hand, against a plain recursion and Biopython, and what must hold for any paths."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ciliary.envs.metrics.scanpath import ScanMatch

FIELD = (240, 320)
paths = st.lists(st.integers(0, 191), min_size=1, max_size=7).map(np.array)


def recursion(match: ScanMatch, a, b) -> float:
    substitution = match.substitution

    @lru_cache(None)
    def best(i: int, j: int) -> float:
        if i == 0 or j == 0:
            return match.gap * (i + j)
        matched = best(i - 1, j - 1) + substitution[a[i - 1], b[j - 1]]
        return max(matched, best(i - 1, j) + match.gap, best(i, j - 1) + match.gap)

    return best(len(a), len(b)) / (match.threshold * max(len(a), len(b)))


def test_bins_are_20_px_and_row_major():
    match = ScanMatch()
    assert match.sequence([0, 19.9, 20, 239.9], [0, 20, 319.9, 40], size=FIELD).tolist() == [0, 1, 31, 178]
    assert match.substitution.shape == (192, 192)
    assert match.substitution[0, 0] == 3.5
    assert match.substitution[0, 1] == match.substitution[0, 16] == 2.5
    assert match.substitution[0, 17 * 3] == pytest.approx(3.5 - 3 * 2**0.5)


def test_paths_by_hand():
    match = ScanMatch()
    a = np.array([0, 5, 9])
    assert match(a, a) == 1
    assert match(np.array([0]), np.array([191])) == 0  # nothing near: both stay alone
    assert match(np.array([0]), np.array([2])) == pytest.approx(1.5 / 3.5)
    assert match(a, np.array([0, 9])) == pytest.approx(2 / 3)  # one fixation is missing
    assert match(a, a[::-1].copy()) == pytest.approx(1 / 3)  # the order counts
    assert ScanMatch(gap=-1.0)(a, np.array([0, 9])) == pytest.approx((7 - 1) / 10.5)


def test_durations_repeat_a_bin():
    match = ScanMatch(bin_ms=50)
    assert match.sequence([5, 5], [5, 30], size=FIELD, duration_ms=[160, 10]).tolist() == [0, 0, 0, 1]
    assert match(np.array([0, 0, 0, 1]), np.array([0, 1])) == 0.5
    with pytest.raises(ValueError, match="needs the duration"):
        match.sequence([5, 5], [5, 30], size=FIELD)


@given(paths, paths, st.sampled_from([0.0, -0.5, -2.0]))
def test_equals_the_plain_recursion(a, b, gap):
    match = ScanMatch(gap=gap)
    assert match(a, b) == pytest.approx(recursion(match, a.tolist(), b.tolist()))
    assert match(a, b) == pytest.approx(match(b, a))
    assert match(a, b) <= 1 + 1e-12
    assert match(a, a) == pytest.approx(1)


@pytest.mark.parametrize(("gap", "expected"), [(0.0, 0.22142282571687988), (-0.5, 0.07856568285973704)])
def test_biopython_aligns_alike(gap, expected):
    """Biopython's PairwiseAligner gave these once: global, our substitutions, gap to open and extend; by 3.5 x 14."""
    a = np.array([181, 120, 131, 172, 111, 148, 160, 43, 10, 57, 54, 167, 175, 1])
    b = np.array([117, 183, 97, 147, 172, 36, 4, 49, 62, 158])
    assert ScanMatch(gap=gap)(a, b) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.tuples(paths, paths), min_size=1, max_size=5))
def test_many_pairs_are_aligned_at_once(pairs):
    match = ScanMatch(gap=-0.3)
    together = match.pairs([a for a, _ in pairs], [b for _, b in pairs])
    assert together == pytest.approx([match(a, b) for a, b in pairs])


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match="outside of the field"):
        ScanMatch().sequence([240], [3], size=FIELD)
    with pytest.raises(ValueError, match="at least one fixation"):
        ScanMatch().sequence([], [], size=FIELD)
    with pytest.raises(ValueError, match="none empty"):
        ScanMatch().pairs([np.array([1])], [np.array([], int)])
    with pytest.raises(ValueError, match="gap <= 0"):
        ScanMatch(gap=1)
    assert ScanMatch().pairs([], []).shape == (0,)
