"""The filter of places: against matrices, and what it must come to."""

from __future__ import annotations

import numpy as np
import torch

from ciliary.cortex.memory.kalman import begun, chosen, corrected, predicted


def test_it_is_the_filter_of_matrices():
    rng = np.random.default_rng(0)
    q, r, v = 0.7, 1.3, 4.0
    transition, seen = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    noise = q**2 * np.array([[0.25, 0.5], [0.5, 1.0]])
    places = rng.normal(size=(6, 2)).cumsum(0)
    state, covariance = np.stack([places[0], np.zeros(2)]), np.diag([r**2, v**2])
    track = begun(torch.tensor(places[0]), torch.tensor(r, dtype=torch.float64), velocity_sd_px=v)
    for place in places[1:]:
        state, covariance = transition @ state, transition @ covariance @ transition.T + noise
        gain = covariance @ seen.T / (seen @ covariance @ seen.T + r**2)
        state, covariance = state + gain * (place - state[0]), (np.eye(2) - gain @ seen) @ covariance
        track = predicted(track, acceleration_sd_px=q)
        track = corrected(track, torch.tensor(place), torch.tensor(r, dtype=torch.float64))
        np.testing.assert_allclose(track.place_px, state[0], rtol=1e-10)
        np.testing.assert_allclose(track.velocity_px, state[1], rtol=1e-10)
        np.testing.assert_allclose(track.covariance, [covariance[0, 0], covariance[0, 1], covariance[1, 1]], rtol=1e-10)


def test_a_steady_movement_is_learned_and_carried_on_unseen():
    speed = torch.tensor([2.0, -1.0])
    track = begun(torch.zeros(2), torch.tensor(0.1), velocity_sd_px=5.0)
    for t in range(1, 9):
        track = corrected(predicted(track, acceleration_sd_px=0.01), t * speed, torch.tensor(0.1))
    torch.testing.assert_close(track.velocity_px, speed, atol=0.02, rtol=0)
    doubt = float(track.covariance[0])
    for _ in range(3):
        track = predicted(track, acceleration_sd_px=0.01)
    torch.testing.assert_close(track.place_px, 11 * speed, atol=0.1, rtol=0)
    assert float(track.covariance[0]) > doubt


def test_a_movement_that_is_told_is_taken_and_leaves_less_doubt():
    track = begun(torch.zeros(3, 2), torch.ones(3), velocity_sd_px=5.0)
    told = predicted(track, acceleration_sd_px=1.0, drift_px=torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(told.place_px, torch.tensor([[3.0, 4.0]] * 3))
    assert bool((told.covariance[:, 0] < predicted(track, acceleration_sd_px=1.0).covariance[:, 0]).all())


def test_choosing_takes_whole_tracks():
    one, other = (begun(torch.full((2, 2), x), torch.full((2,), x), velocity_sd_px=x) for x in (1.0, 2.0))
    both = chosen(torch.tensor([True, False]), one, other)
    assert both.place_px.tolist() == [[1, 1], [2, 2]]
    assert both.covariance.tolist() == [[1, 0, 1], [4, 0, 4]]
