"""Scan paths: winner takes all, then inhibition of return. State in, state out; a batch at a time.

Koch and Ullman 1985 (winner takes all, the winner inhibited), Itti, Koch and Niebur 1998; that the inhibition decays,
and short saccades are more frequent than long ones: Klein 2000, Bahill, Adler and Stark 1975.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ciliary.cortex.dorsal.priority import normalised


@dataclass(frozen=True)
class ScanSettings:
    """How a gaze chooses; chosen on one half of 350 photographs (OSIE), told on the other.

    Attributes:
        inhibition_deg: standard deviation of the Gaussian that is inhibited around a fixation, > 0.
        inhibition_decay: what is left of an inhibition after one more fixation, in [0, 1].
        saccade_deg: standard deviation of the Gaussian preference for near targets, > 0; infinite for none.
    """

    inhibition_deg: float = 2.5
    inhibition_decay: float = 0.9
    saccade_deg: float = 12.0

    def __post_init__(self) -> None:
        if self.inhibition_deg <= 0 or self.saccade_deg <= 0 or not 0 <= self.inhibition_decay <= 1:
            raise ValueError(f"expected sizes above 0 and a decay in [0, 1], got {self}")


class GazeState(NamedTuple):
    """Where each eye is, and where it has been.

    Attributes:
        gaze_y, gaze_x: (B,) in cells of the map; cell i lies at i.
        inhibition: (B, 1, h, w) in [0, 1].
    """

    gaze_y: Tensor
    gaze_x: Tensor
    inhibition: Tensor


def start(like: Tensor) -> GazeState:
    """Eyes at the centre that have been nowhere, for maps such as ``like`` (B, 1, h, w)."""
    n, h, w = len(like), like.shape[-2], like.shape[-1]
    middle = like.new_full((n,), 1.0)
    return GazeState(middle * ((h - 1) / 2), middle * ((w - 1) / 2), torch.zeros_like(like))


def inhibit(state: GazeState, settings: ScanSettings, *, cells_per_deg: float) -> GazeState:
    """The same eyes when they have looked where they are: what was inhibited decays, the place of the gaze is added."""
    spot = _spot(state, settings.inhibition_deg * cells_per_deg)
    return state._replace(inhibition=torch.maximum(state.inhibition * settings.inhibition_decay, spot))


def choose(priority: Tensor, state: GazeState, settings: ScanSettings, *, cells_per_deg: float) -> GazeState:
    """Move each gaze to the winner: the cell of most priority x (1 - inhibition) x nearness; the first of equal ones.

    Args:
        priority: (B, 1, h, w) >= 0, before inhibition.
        state: of the same maps, inhibited where they are.
        settings: how.
        cells_per_deg: cells of the map to a degree, > 0.
    """
    attraction = priority * (1 - state.inhibition)
    if settings.saccade_deg < float("inf"):
        # The winner of a tie of zeros (all far away underflow) is the plain one.
        attraction = normalised(
            attraction * _spot(state, settings.saccade_deg * cells_per_deg), otherwise=normalised(attraction)
        )
    winner = attraction.flatten(1).argmax(1)
    width = priority.shape[-1]
    y, x = winner // width, winner % width
    return state._replace(gaze_y=y.to(priority.dtype), gaze_x=x.to(priority.dtype))


def scan_path(
    priority: Tensor,
    *,
    n_fixations: int,
    cells_per_deg: float,
    settings: ScanSettings | None = None,
    looks_at_start: bool = True,
) -> tuple[Tensor, Tensor]:
    """Fixations in their order, starting from the centre.

    Args:
        priority: (B, 1, h, w) >= 0 of what is seen at once; an environment that sees more with each glance calls
            :func:`inhibit` and :func:`choose` itself.
        n_fixations: of each path, without the start, >= 1.
        cells_per_deg: cells of the map to a degree, > 0.
        settings: the defaults when None.
        looks_at_start: the centre, where the eye lies before the image comes, is inhibited as if it were looked at.

    Returns:
        y and x of each fixation, (B, n_fixations) in cells of the map.

    Raises:
        ValueError: ``priority`` is not (B, 1, h, w), or ``n_fixations`` or ``cells_per_deg`` too small.
    """
    settings = settings or ScanSettings()
    if priority.ndim != 4 or priority.shape[1] != 1:
        raise ValueError(f"expected priority (B, 1, h, w), got {tuple(priority.shape)}")
    if n_fixations < 1 or not cells_per_deg > 0:
        raise ValueError(f"expected n_fixations >= 1 and cells_per_deg > 0, got {n_fixations} and {cells_per_deg}")
    state = start(priority)
    if looks_at_start:
        state = inhibit(state, settings, cells_per_deg=cells_per_deg)
    path = []
    for _ in range(n_fixations):
        state = choose(priority, state, settings, cells_per_deg=cells_per_deg)
        path.append(torch.stack([state.gaze_y, state.gaze_x]))
        state = inhibit(state, settings, cells_per_deg=cells_per_deg)
    y, x = torch.stack(path, -1)
    return y, x


def _spot(state: GazeState, sigma: float) -> Tensor:
    """Gaussian (B, 1, h, w) of height 1 at each gaze, sigma in cells."""
    h, w = state.inhibition.shape[-2:]
    y = torch.arange(h, dtype=state.gaze_y.dtype, device=state.gaze_y.device) - state.gaze_y[:, None]
    x = torch.arange(w, dtype=state.gaze_x.dtype, device=state.gaze_x.device) - state.gaze_x[:, None]
    rows, columns = (torch.exp(-0.5 * (d / sigma) ** 2) for d in (y, x))
    return rows[:, None, :, None] * columns[:, None, None, :]
