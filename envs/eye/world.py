"""B eyes before B scenes: where they look, what they have seen, what it is worth. Single and vector form share it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ciliary.cortex.eye.contrast import Contrast
from ciliary.cortex.eye.disc import disc_diameter_rad
from ciliary.cortex.eye.fovea import Glance
from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.cortex.eye.parameters import FOCUS_DPT, PUPIL_MM, eye_table
from ciliary.cortex.eye.receptor import Told
from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.dynamics import count_still, is_converged, reward
from ciliary.envs.eye import terms as worth
from ciliary.envs.eye.config import MAX_FOCUS_STEP_DPT, MAX_PUPIL_FACTOR, MUSCLES, EyeConfig
from ciliary.envs.eye.film import Films, Moved
from ciliary.envs.eye.memory import EyeMemory
from ciliary.envs.eye.priority import PRIORITY_PX
from ciliary.envs.eye.sight import Eyes, Ground, Sight, Sighting
from ciliary.envs.eye.slope import total_slope
from ciliary.envs.eye.sources import SceneSource
from ciliary.envs.eye.things import EyeThings

Obs = dict[str, np.ndarray]
RESET_OPTIONS = ("scene", "gaze", "focus_dpt", "pupil_mm", "noise_seed")

_UNIT = eye_table((2.0, 2.0))  # gaze in halves of the field


def observation_space(config: EyeConfig) -> spaces.Dict:
    """Of one eye."""
    return spaces.Dict(
        {
            "glance": spaces.Box(0, 255, (3, *config.lattice.shape), np.uint8),
            "priority": spaces.Box(0, 255, (1, *PRIORITY_PX), np.uint8),
            "eye": spaces.Box(-1.0, 1.0, (len(MUSCLES),), np.float32),
            "statistics": spaces.Box(-1.0, 1.0, (len(worth.STATISTICS),), np.float32),
            "time": spaces.Box(0.0, 1.0, (1,), np.float32),
        }
    )


class EyeWorld:
    """State of B episodes.

    Attributes:
        eye: (B, 4) float64 gaze_y_deg, gaze_x_deg, focus_dpt, pupil_mm.
        terms: name -> (B,) of the latest look.
        sighting: what it saw.
        memory: all that was seen, and where it lets expect something.
        things: what things there are in it, where they are remembered (``EyeConfig(things=True)``).
        now: the scenes as they were at the latest look: another frame each time, of a film.
        history: of each episode, the terms after the reset and every step; ``path`` likewise the eye, (4,).
    """

    def __init__(self, config: EyeConfig, n: int) -> None:
        self.config, self.n = config, n
        self.source = SceneSource(config)
        self.sight = Sight(config)
        self.is_free = np.isin(MUSCLES, config.muscles)
        self.eye = np.zeros((n, len(MUSCLES)))
        self.grounds: list[Ground | None] = [None] * n
        self.now: list[Ground] = []
        self.noise_seeds = [0] * n
        self.n_looks = np.zeros(n, dtype=np.int64)
        self.n_still = np.zeros(n, dtype=np.int64)
        self.history: list[list[dict[str, float]]] = [[] for _ in range(n)]
        self.path: list[list[np.ndarray]] = [[] for _ in range(n)]
        self.terms: dict[str, np.ndarray] = {}
        self.sighting: Sighting | None = None
        self.contrast: Contrast | None = None
        self.told: Told | None = None
        self.memory = EyeMemory(config, n)
        self.things = EyeThings(config.lies_on) if config.things else None
        self._films = Films(config)

    @property
    def mosaic(self) -> Mosaic:
        """All that was seen."""
        return self.memory.mosaic

    @property
    def priority(self) -> Tensor:
        """(B, 1, 36, 48) in [0, 1], where looking would pay."""
        return self.memory.priority

    @property
    def half_field_deg(self) -> np.ndarray:
        """(2,) half of the field, (y, x)."""
        return np.asarray(self.sight.half_field_deg.numpy())

    @property
    def u(self) -> np.ndarray:
        """Where the eyes stand, (B, 4) in [-1, 1] over their ranges."""
        return _UNIT.to_u(self._in_halves(self.eye)).astype(np.float32)

    def _in_halves(self, eye: np.ndarray) -> np.ndarray:
        return np.concatenate([eye[:, :2] / self.half_field_deg, eye[:, 2:]], 1)

    # --- an episode begins
    def begin(self, rows: Sequence[int], rngs: Sequence[np.random.Generator], options: Mapping[str, Any]) -> None:
        """New episodes in some rows, drawn from their generators where the options leave it open.

        Raises:
            ValueError: an option that does not exist, or a value that cannot be.
        """
        start = check_options(options, self.config)
        wanted = start.get("scene")
        each = wanted if isinstance(wanted, (list, tuple)) else [wanted] * len(rows)
        if len(each) != len(rows):
            raise ValueError(f"expected one scene, or one for each of {len(rows)} episodes that begin, got {len(each)}")
        for i, rng, one in zip(rows, rngs, each, strict=True):
            self.grounds[i] = self.source.draw(rng, one)
            drawn = int(rng.integers(2**31))
            self.noise_seeds[i] = int(start.get("noise_seed", drawn))
        self.now = [ground for ground in self.grounds if ground is not None]
        self.sight.place(self.now)
        for i in rows:
            gaze = np.clip(np.asarray(start.get("gaze", (0.0, 0.0)), dtype=np.float64), -1, 1) * self.half_field_deg
            focus = start.get("focus_dpt", self.config.focus_dpt)
            self.eye[i] = [*gaze, focus, start.get("pupil_mm", self.config.pupil_mm)]
            self.n_looks[i] = self.n_still[i] = 0
            self.history[i], self.path[i] = [], []
        self.memory.forget(list(rows), self.sight.size_px, self.sight.px_per_deg)
        self.look(rows)

    # --- muscles
    def targets(self, action: np.ndarray) -> np.ndarray:
        """Eyes (B, 4) after actions (B, n_free): gaze goes where it says, lens and pupil change.

        Raises:
            ValueError: another shape, or not finite.
        """
        action = np.asarray(action, dtype=np.float64)
        shape = (self.n, int(self.is_free.sum()))
        if action.shape != shape:
            raise ValueError(
                f"expected an action of shape {shape[1:]} for each episode, one for each of "
                f"{', '.join(self.config.muscles)}, got shape {action.shape[1:]}"
            )
        if not np.isfinite(action).all():
            raise ValueError("expected a finite action, got nan or inf; check the controller's output")
        whole = np.zeros((self.n, len(MUSCLES)))
        whole[:, self.is_free] = np.clip(action, -1, 1)
        focus = np.clip(self.eye[:, 2] + MAX_FOCUS_STEP_DPT * whole[:, 2], *FOCUS_DPT)
        pupil = np.clip(self.eye[:, 3] * MAX_PUPIL_FACTOR ** whole[:, 3], *PUPIL_MM)
        moved = np.concatenate([whole[:, :2] * self.half_field_deg, focus[:, None], pupil[:, None]], 1)
        return np.where(self.is_free, moved, self.eye)

    def action_towards(self, u: np.ndarray) -> np.ndarray:
        """Actions (B, n_free) that bring the eyes to settings (B, n_free) in [-1, 1], or as near as one step can."""
        whole = self.u.astype(np.float64)
        whole[:, self.is_free] = np.clip(u, -1, 1)
        target = _UNIT.to_physical(whole)
        focus = (target[:, 2] - self.eye[:, 2]) / MAX_FOCUS_STEP_DPT
        pupil = np.log(target[:, 3] / self.eye[:, 3]) / np.log(MAX_PUPIL_FACTOR)
        action = np.concatenate([whole[:, :2], focus[:, None], pupil[:, None]], 1)
        return np.asarray(np.clip(action, -1, 1)[:, self.is_free], dtype=np.float32)

    def step(self, action: np.ndarray, is_new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move, look, and be paid: rewards (B,) and whether episodes are over (B,); rows that are new only wait."""
        target = self.targets(action)
        degrees = np.hypot(*(target - self.eye)[:, :2].T)
        previous = self.terms["total"]
        rows = np.flatnonzero(~is_new)
        self.eye = np.where(is_new[:, None], self.eye, target)
        self.n_looks[rows] += 1
        self.look(rows)
        rules, total = self.config.rules, self.terms["total"]
        self.n_still = np.where(is_new, 0, count_still(self.n_still, previous, total, rules=rules))
        paid = reward(previous, total, rules=rules) - self.config.degree_cost * degrees
        return np.where(is_new, 0.0, paid), is_converged(self.n_still, rules=rules) & ~is_new

    # --- eyes
    def look(self, rows: Sequence[int] | np.ndarray) -> None:
        """One look of all rows at once; it is remembered in ``rows`` only, the others look again as they did."""
        eye = torch.from_numpy(self.eye.copy()).to(self.config.lies_on)
        generators = None
        if self.config.photon_noise:
            # A look's noise depends on the seed and the number of the look: a row draws what it would alone.
            generators = [
                torch.Generator().manual_seed(seed * 1009 + int(n_looks))
                for seed, n_looks in zip(self.noise_seeds, self.n_looks, strict=True)
            ]
        eyes = Eyes(eye[:, :2], eye[:, 2], eye[:, 3])
        looking = [int(i) for i in rows]
        moved = self._wait(eyes, looking)
        self.sighting = self.sight.look(eyes, generators)
        self.contrast = worth.look_contrast(self.sighting, self.config)
        self.told = worth.look_response(self.sighting, self.config)
        is_looking = torch.from_numpy(np.isin(np.arange(self.n), looking)).to(eye.device)
        self.memory.remember(self.sighting.glance, is_looking, moved)
        if self.things is not None:
            is_first = is_looking & torch.from_numpy(self.n_looks == 0).to(eye.device)
            self.things.look(self.mosaic, is_looking, is_first, moved)
        self.terms = worth.measure(self.contrast, self.told, self.memory.unresolved, self.config)
        for i in looking:
            self.history[i].append({name: float(values[i]) for name, values in self.terms.items()})
            self.path[i].append(self.eye[i].copy())

    def _wait(self, eyes: Eyes, looking: Sequence[int]) -> Moved | None:
        """Let films run to the end of the look, and say what is seen to move meanwhile; nothing of scenes at rest."""
        grounds = [ground for ground in self.grounds if ground is not None]
        if all(ground.scene.film is None for ground in grounds):
            return None
        self.now = [self._films.now(ground, int(k)) for ground, k in zip(grounds, self.n_looks, strict=True)]
        self.sight.place(self.now)
        return self._films.watch(grounds, self.n_looks.tolist(), eyes, looking) if self.config.sees_motion else None

    def gradient(self) -> np.ndarray:
        """(B, n_free): see :func:`ciliary.envs.eye.slope.total_slope`."""
        height, width = (2 * half for half in self.half_field_deg)
        u = _UNIT.to_u(self._in_halves(self.eye))
        return total_slope(self.sight, eye_table((height, width)), u, self.config)[1][:, self.is_free]

    def observe(self) -> Obs:
        """Observations of all rows, in arrays that nobody else holds."""
        assert self.sighting is not None
        assert self.contrast is not None
        assert self.told is not None
        time = np.minimum(self.n_looks / self.config.horizon, 1.0)
        return {
            "glance": shown(self.sighting.glance),
            "priority": np.asarray((255 * self.priority).round().to(torch.uint8).cpu().numpy()),
            "eye": self.u,
            "statistics": worth.statistics(self.contrast, self.told, self.mosaic, self.config),
            "time": time[:, None].astype(np.float32),
        }

    def info(self, i: int) -> dict[str, Any]:
        """Of one row: see :class:`ciliary.envs.eye.single.EyeEnv`."""
        assert self.sighting is not None
        eye = dict(zip(MUSCLES, map(float, self.eye[i]), strict=True))
        u = self.u[i]
        object_dpt = float(self.sighting.object_dpt[i])
        disc = disc_diameter_rad(*(torch.tensor(x) for x in (eye["pupil_mm"], eye["focus_dpt"], object_dpt)))
        things = {} if self.things is None else {"things": self.things.info(i)}
        return {
            "terms": {name: float(values[i]) for name, values in self.terms.items()},
            "u": u[self.is_free],
            "eye": eye,
            "n_looks": int(self.n_looks[i]) + 1,
            "frame": self._films.frame(self._ground(i), int(self.n_looks[i])),
            "n_samples": int(self.mosaic.n_samples[i]),
            "px_per_deg": self.sight.px_per_deg,
            "scene": self.scene(i).name,
            "noise_seed": self.noise_seeds[i],
            "hidden": {
                "object_dpt": object_dpt,
                "focus_error_dpt": eye["focus_dpt"] - object_dpt,
                "disc_deg": math.degrees(float(disc)),
            },
            **things,
        }

    def scene(self, i: int) -> EyeScene:
        """What a row looks at."""
        return self._ground(i).scene

    def _ground(self, i: int) -> Ground:
        ground = self.grounds[i]
        assert ground is not None
        return ground


def shown(glance: Glance) -> np.ndarray:
    """Samples of glances as (B, 3, rows, columns) uint8, sRGB."""
    return np.asarray((255 * linear_to_srgb(glance.samples)).round().to(torch.uint8).cpu().numpy())


def check_options(options: Mapping[str, Any], config: EyeConfig) -> dict[str, Any]:
    """Reset options as given.

    Raises:
        ValueError: an option that does not exist, or a value that cannot be.
    """
    unknown = sorted(set(options) - set(RESET_OPTIONS))
    if unknown:
        raise ValueError(f"unknown reset option(s) {', '.join(unknown)}; choose from {', '.join(RESET_OPTIONS)}")
    start = {name: value for name, value in options.items() if value is not None}
    config.check_eye(start.get("focus_dpt", config.focus_dpt), start.get("pupil_mm", config.pupil_mm))
    gaze = np.asarray(start.get("gaze", (0.0, 0.0)), dtype=np.float64)
    if gaze.shape != (2,) or not (np.abs(gaze) <= 1).all():
        raise ValueError(f"expected gaze (y, x) in [-1, 1], halves of the field, got {start['gaze']}")
    return start
