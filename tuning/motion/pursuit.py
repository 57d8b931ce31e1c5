"""The exam of an eye before what moves: how often each policy of gaze is where a made-up patch is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.agents.eye.gaze import CentreController, GridController, PriorityController, RandomGazeController
from ciliary.agents.eye.playing import play_eyes
from ciliary.envs.data.active.scene import EyeScene, SceneFilm
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.film import frames_per_look
from ciliary.envs.eye.sources import moving_scene
from ciliary.envs.eye.vector import EyeVectorEnv

N_LOOKS = 16
#: How near a look must come.
NEAR_DEG = 2.0
_BLIND = {"sees_motion": False}
#: Policies: a controller, and what its environment is.
POLICIES: dict[str, tuple[ControllerBase, dict[str, Any]]] = {
    "stay at the centre": (CentreController(), _BLIND),
    "random": (RandomGazeController(), _BLIND),
    "even grid": (GridController(), _BLIND),
    "priority without motion": (PriorityController(), _BLIND),
    "priority, motion ages the memory only": (PriorityController(), {"motion_draws": False}),
    "priority with motion": (PriorityController(), {}),
}
_MUSCLES = ("gaze_y_deg", "gaze_x_deg")
_N_TOGETHER = 4


@dataclass(frozen=True)
class Pursuit:
    """Shares of looks, of each film.

    Attributes:
        on_middle: (N,) within :data:`NEAR_DEG` of the patch's middle.
        on_patch: (N,) within it of the patch.
    """

    on_middle: np.ndarray
    on_patch: np.ndarray


def films(n: int, *, is_panning: bool, seed: int = 0) -> list[EyeScene]:
    """So many films of a patch before a ground that pans or rests."""
    return [
        moving_scene(seed + 2 * i + is_panning, EyeConfig(horizon=N_LOOKS), is_panning=is_panning) for i in range(n)
    ]


def pursue(n_films: int, *, is_panning: bool, on_part: Callable[[str], None] = lambda name: None) -> dict[str, Pursuit]:
    """Play every policy on the same films and photons.

    Args:
        n_films: how many.
        is_panning: whether their grounds pan.
        on_part: called when a policy is through with some of the films.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in POLICIES}
    for start in range(0, n_films, _N_TOGETHER):
        some = films(min(_N_TOGETHER, n_films - start), is_panning=is_panning, seed=2 * start)
        for name, (controller, settings) in POLICIES.items():
            found[name].append(_distances(some, controller, settings, seed=start))
            on_part(name)
    shares = {name: (np.concatenate(parts) <= NEAR_DEG).mean(1) for name, parts in found.items()}
    return {name: Pursuit(*share.T) for name, share in shares.items()}


def _distances(
    scenes: Sequence[EyeScene], controller: ControllerBase, settings: dict[str, Any], seed: int
) -> np.ndarray:
    """(N, 16, 2) degrees of every look from the patch's middle and from the patch, at the frame that it sees."""
    envs = EyeVectorEnv(len(scenes), scenes=scenes, muscles=_MUSCLES, patience=0, horizon=N_LOOKS, **settings)
    play_eyes(envs, controller, list(range(len(scenes))), seed=seed, n_steps=N_LOOKS)
    rows = []
    for i, scene in enumerate(scenes):
        gaze = np.stack(envs.world.path[i])[1:, :2]
        off = np.abs(gaze - _true_path(scene.film, envs.config))
        half_deg = round(scene.size_px[0] / 5) / 2 / scene.px_per_deg
        rows.append(np.stack([np.hypot(*off.T), np.hypot(*np.maximum(off - half_deg, 0).T)], -1))
    return np.stack(rows)


def _true_path(film: SceneFilm | None, config: EyeConfig) -> np.ndarray:
    """(16, 2) where the patch's middle is at the frame of each look after the first."""
    assert film is not None
    assert film.mover_deg is not None
    n = frames_per_look(config, film.frame_ms)
    return np.array([film.mover_deg(min((k + 1) * n, film.n_frames - 1)) for k in range(1, N_LOOKS + 1)])
