"""The exam of a memory of what moves: how far what is remembered of a film is from what is there now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ciliary.agents.eye.gaze import even_grid
from ciliary.cortex.eye.mosaic import Mosaic, add_glance, blank_mosaic
from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.single import EyeEnv

#: Places count that are held to be seen as finely.
FINE_DEG = 0.4
_FRAMES_PER_LOOK = 2
_N_PLACES = 12
# A sharp eye: what is off is the memory's.
_EYE: dict[str, Any] = {"focus_dpt": 0.7, "pupil_mm": 2.0, "nearness": 1.0, "photon_noise": False, "patience": 0}
KINDS = ("as of a photograph", "carried along and aged", "the latest glance alone")


@dataclass(frozen=True)
class Remembered:
    """Attributes: error (K,) after each look, mean absolute, of 255; share (K,) of the field that is fine."""

    error: np.ndarray
    share: np.ndarray


def remembered(folder: Path) -> dict[str, Remembered]:
    """An eye that looks along an even grid at a film from a folder, to its end.

    Raises:
        ValueError: no film.
    """
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for kind in KINDS[:2]:
        env = EyeEnv(
            EyeConfig(
                muscles=("gaze_y_deg", "gaze_x_deg"),
                scenes=folder,
                film=True,
                frames_per_look=_FRAMES_PER_LOOK,
                sees_motion=kind == KINDS[1],
                **_EYE,
            )
        )
        env.reset(seed=0)
        film = env.world.scene(0).film
        assert film is not None
        for place in np.resize(even_grid(_N_PLACES), ((film.n_frames - 1) // _FRAMES_PER_LOOK - 1, 2)):
            env.step(place.astype(np.float32))
            found[kind].append(_off(env, env.world.mosaic))
            if kind == KINDS[1]:
                found[KINDS[2]].append(_off(env, _latest(env)))
    return {kind: Remembered(*np.array(rows).T) for kind, rows in found.items()}


def _latest(env: EyeEnv) -> Mosaic:
    """Of the latest glance and nothing before it."""
    assert env.world.sighting is not None
    mosaic = env.world.mosaic
    size_px = (mosaic.image.shape[-2], mosaic.image.shape[-1])
    return add_glance(blank_mosaic(1, size_px, mosaic.px_per_deg), env.world.sighting.glance)


def _off(env: EyeEnv, mosaic: Mosaic) -> tuple[float, float]:
    """Error at what is held to be fine, of 255, and how much of the field that is."""
    size_px = (mosaic.image.shape[-2], mosaic.image.shape[-1])
    now = F.interpolate(env.world.now[0].light[None], size=size_px, mode="bilinear", antialias=True)
    off = (linear_to_srgb(mosaic.image) - linear_to_srgb(now)).abs().mean(1, keepdim=True)
    is_fine = mosaic.spacing_deg <= FINE_DEG
    return float(255 * off[is_fine].mean()), float(is_fine.to(torch.float64).mean())
