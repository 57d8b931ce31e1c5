"""Sharpness of optima whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ciliary.tuning.fluency.sharpness import sharpness

FREE = np.ones(6, bool)


def bowl(curvature: float):
    return lambda u: 0.5 * curvature * (u**2).sum(1)


@pytest.mark.parametrize("curvature", [0.0, 1.0, 4.0])
def test_at_the_bottom_of_a_round_bowl_every_direction_is_the_worst(curvature):
    found = sharpness(bowl(curvature), np.zeros(6), is_free=FREE, rho=0.5)
    assert found == pytest.approx(0.5 * curvature * 0.25, abs=1e-9)


def test_on_a_slope_the_gradient_is_found():
    """J = g.u rises most, by rho |g|, along g; a random direction of six finds much less."""
    g = np.array([3.0, -1.0, 0.5, 0.0, 2.0, 1.0])
    best = 0.5 * np.linalg.norm(g)
    found = sharpness(lambda u: u @ g, np.zeros(6), is_free=FREE, rho=0.5, n_directions=40)
    assert 0.9 * best < found <= best + 1e-9


def test_what_can_do_nothing_is_not_moved():
    seen = []

    def total(u):
        seen.append(u)
        return u[:, 0]

    sharpness(total, np.zeros(6), is_free=np.array([True] * 5 + [False]))
    assert (np.concatenate(seen)[:, 5] == 0).all()


def test_a_summit_is_flat_from_above():
    assert sharpness(lambda u: -(u**2).sum(1), np.zeros(6), is_free=FREE) == 0


def test_not_over_the_walls():
    seen = []

    def total(u):
        seen.append(u)
        return np.zeros(len(u))

    sharpness(total, np.ones(6), is_free=FREE)
    assert np.abs(np.concatenate(seen)).max() <= 1


def test_where_nothing_is_finite_nothing_is_told():
    assert math.isnan(sharpness(lambda u: np.full(len(u), np.nan), np.zeros(6), is_free=FREE))
    inside = sharpness(lambda u: np.where(np.abs(u).sum(1) > 0, np.inf, 0.0), np.zeros(6), is_free=FREE)
    assert math.isnan(inside)
