"""The exam on sequences that are made: plaids, speeds, and a patch before a panning background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.dorsal.priority import Dorsal
from ciliary.cortex.motion.perceive import MotionOut, MotionSettings, see_motion
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina
from ciliary.envs.data.active.drifting import grating_frames, noise_frames, patch_frames
from ciliary.envs.metrics.pattern import pattern_index

N_FRAMES = 7
_STEP_DEG = 30
_MARGIN = 8  # cells at the border that speeds are not told of
_PLAIDS = ((12.0, 1.0), (16.0, 2.0), (24.0, 2.0), (24.0, 4.0), (36.0, 3.0))  # wavelength and speed, px
_GRATINGS = ((12.0, (0.25, 0.5, 1, 2, 3)), (24.0, (0.5, 1, 2, 4, 6)), (48.0, (1, 2, 4, 8)))
_DIRECTIONS_DEG = (0.0, 50.0, 200.0)
_NOISE = ((0, 0.25), (0.3, 0.4), (0, 1), (1, 1), (-2, 0), (2, 2), (3, -2), (0, 4), (-4, 3), (0, 6))
_PATCHES = (  # velocities of the background and of the patch
    ((0, 2), (0, 0)),
    ((0, 1.5), (1, 0)),
    ((1, 2), (-1, 1)),
    ((0, 2), (0, -1)),
    ((0, 0), (0, 1)),
    ((0, 2), (0, 1)),
)
_PX_PER_DEG = 9.6


@dataclass(frozen=True)
class Plaids:
    """By how much each cell is of its kind: (N,) Z of components less Z of patterns in V1, and the reverse in MT."""

    v1: np.ndarray
    mt: np.ndarray


@torch.no_grad()
def plaid_exam(settings: MotionSettings | None = None) -> Plaids:
    """Cells whose preferred direction is one of those shown, at the scale of the plaid, at several speeds."""
    directions = np.arange(0, 360, _STEP_DEG)
    found: dict[str, list[float]] = {"v1": [], "mt": []}
    for wavelength, speed in _PLAIDS:
        tunings = []
        for half in (None, 60.0):
            frames = [
                grating_frames(
                    direction_deg=float(d) if half is None else [d - half, d + half],
                    wavelength_px=wavelength,
                    speed_px=speed,
                    n_frames=N_FRAMES,
                )
                for d in directions
            ]
            tunings.append(_middle(see_motion(torch.stack(frames), settings, is_last_only=True)[0]))
        for d in range(0, 8, 2):
            for name, gaps in found.items():
                index = pattern_index(tunings[0][name][:, d], tunings[1][name][:, d])
                gap = index.pattern - index.component
                gaps.append(gap if name == "mt" else -gap)
    return Plaids(np.array(found["v1"]), np.array(found["mt"]))


def _middle(out: MotionOut) -> dict[str, np.ndarray]:
    """(B, 8) of V1, its strongest scale, and of MT, at the image's middle."""
    answers = {"v1": out.component.energy.amax(2), "mt": out.pattern.response}
    h, w = out.pattern.response.shape[-2:]
    at = slice(h // 2 - 2, h // 2 + 2), slice(w // 2 - 2, w // 2 + 2)
    return {name: cells[:, :, at[0], at[1]].mean((2, 3)).numpy() for name, cells in answers.items()}


@torch.no_grad()
def speed_exam(kind: str, settings: MotionSettings | None = None) -> np.ndarray:
    """(N,) relative errors of the mean velocity away from the border, of ``gratings`` or of ``noise``.

    A grating tells only the velocity along its own direction; of noise the whole vector counts.
    """
    errors: list[float] = []
    if kind == "gratings":
        for wavelength, speeds in _GRATINGS:
            for direction in _DIRECTIONS_DEG:
                frames = [
                    grating_frames(direction_deg=direction, wavelength_px=wavelength, speed_px=v, n_frames=N_FRAMES)
                    for v in speeds
                ]
                angle = np.deg2rad(direction)
                along = _mean_flow(frames, settings) @ np.array([np.sin(angle), np.cos(angle)])
                errors += np.abs(along / np.array(speeds) - 1).tolist()
        return np.array(errors)
    for velocity in _NOISE:
        frames = [noise_frames(velocity_px=velocity, n_frames=N_FRAMES, seed=seed) for seed in range(3)]
        off = _mean_flow(frames, settings) - np.array(velocity)
        errors += (np.linalg.norm(off, axis=1) / np.linalg.norm(velocity)).tolist()
    return np.array(errors)


def _mean_flow(frames: Sequence[Tensor], settings: MotionSettings | None) -> np.ndarray:
    flow = see_motion(torch.stack(list(frames)), settings, is_last_only=True)[0].flow.flow_px_per_frame
    return flow[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].mean((2, 3)).numpy()


@torch.no_grad()
def patch_exam(n_scenes: int, side_px: int, settings: MotionSettings | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Whether priority's winner lies on the patch, (N,) without and (N,) with motion."""
    rng = np.random.default_rng(0)
    dorsal, hits = Dorsal(px_per_deg=_PX_PER_DEG), []
    for i in range(n_scenes):
        background, patch = _PATCHES[i % len(_PATCHES)]
        centre = (float(rng.uniform(30, 90)), float(rng.uniform(35, 125)))
        frames, square = patch_frames(
            background_px=background,
            patch_px=patch,
            n_frames=N_FRAMES + 1,
            seed=2 * i,
            side_px=side_px,
            centre_px=centre,
        )
        flow = see_motion(frames[None], settings, is_last_only=True)[0].flow
        seen = retina(frames[-1:], default_theta(1))
        hits.append([_is_on(square[-1], field) for field in (dorsal(seen), dorsal(seen, motion=flow))])
    without, with_motion = np.array(hits, dtype=float).T
    return without, with_motion


def _is_on(square: Tensor, field: Tensor) -> bool:
    y, x = divmod(int(field.flatten().argmax()), field.shape[-1])
    scale = square.shape[1] / field.shape[-1]
    row, column = (min(int((place + 0.5) * scale), n - 1) for place, n in zip((y, x), square.shape, strict=True))
    return bool(square[row, column])
