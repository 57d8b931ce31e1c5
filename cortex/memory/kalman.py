"""A Kalman filter for where a thing is and how fast it moves, the same for both axes (Kalman 1960).

Constant velocity, disturbed by white noise of acceleration (Bar-Shalom, Li & Kirubarajan 2001, section 6.3.2), one step
of time a frame. Both axes share one covariance, since they are measured alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Track:
    """What is believed of M places.

    Attributes:
        place_px: (..., 2) y and x.
        velocity_px: (..., 2) a frame.
        covariance: (..., 3) of one axis: variance of the place, covariance, variance of the velocity; px².
    """

    place_px: Tensor
    velocity_px: Tensor
    covariance: Tensor


def begun(place_px: Tensor, noise_px: Tensor, *, velocity_sd_px: float) -> Track:
    """First seen at ``place_px`` (..., 2) with an error of ``noise_px`` (...), moving nobody knows where."""
    variance = noise_px.square()
    unknown = torch.full_like(variance, velocity_sd_px**2)
    covariance = torch.stack([variance, torch.zeros_like(variance), unknown], -1)
    return Track(place_px, torch.zeros_like(place_px), covariance)


def predicted(track: Track, *, acceleration_sd_px: float, drift_px: Tensor | None = None) -> Track:
    """One frame later.

    Args:
        track: before.
        acceleration_sd_px: px a frame², standard deviation.
        drift_px: (..., 2) the movement where something else tells it, in place of the track's own velocity.
    """
    p, c, v = track.covariance.unbind(-1)
    q = acceleration_sd_px**2
    if drift_px is None:
        moved = torch.stack([p + 2 * c + v + q / 4, c + v + q / 2, v + q], -1)
        return Track(track.place_px + track.velocity_px, track.velocity_px, moved)
    # A movement that is told leaves only how far it may be wrong.
    moved = torch.stack([p + q / 4, c + q / 2, v + q], -1)
    return Track(track.place_px + drift_px, track.velocity_px, moved)


def corrected(track: Track, seen_px: Tensor, noise_px: Tensor) -> Track:
    """After seeing it at ``seen_px`` (..., 2) with an error of ``noise_px`` (...)."""
    p, c, v = track.covariance.unbind(-1)
    total = p + noise_px.square()
    gain, gain_velocity = p / total, c / total
    surprise = seen_px - track.place_px
    covariance = torch.stack([(1 - gain) * p, (1 - gain) * c, v - gain_velocity * c], -1)
    return Track(
        track.place_px + gain[..., None] * surprise,
        track.velocity_px + gain_velocity[..., None] * surprise,
        covariance,
    )


def chosen(is_chosen: Tensor, one: Track, other: Track) -> Track:
    """``one`` where ``is_chosen`` (...), ``other`` elsewhere."""
    mask = is_chosen[..., None]
    return Track(
        torch.where(mask, one.place_px, other.place_px),
        torch.where(mask, one.velocity_px, other.velocity_px),
        torch.where(mask, one.covariance, other.covariance),
    )
