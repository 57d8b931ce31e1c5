"""Many eyes at once: one scene a row, all rows through the optics together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import error, spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ciliary.cortex.floats import single_precision
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.render import EyeRenderer
from ciliary.envs.eye.world import EyeWorld, Obs, observation_space
from ciliary.envs.single import check_render_mode


class EyeVectorEnv(VectorEnv[Any, np.ndarray, np.ndarray]):
    """E copies of :class:`ciliary.envs.eye.single.EyeEnv`, imaged in one pass.

    Same actions, observations, rewards and infos, with a leading axis E; infos follow Gymnasium's vector form (arrays,
    dicts of arrays, and a mask ``_name`` beside each). Copy i of ``reset(seed=s)`` is the single environment of seed
    s + i.

    Autoreset is ``NEXT_STEP``: the step after an episode's last one ignores that copy's action, begins its next episode
    and pays 0. Reset options hold for the reset they are given to; ``reset_mask`` (bool (E,)) among them resets only
    some copies, and ``scene`` may be a list with one for each copy that begins.

    Args:
        num_envs: E.
        max_episode_steps: an episode is truncated after so many steps; None never. (A vector entry point gets no
            ``TimeLimit`` wrapper: the count is kept here.)
        render_mode: ``rgb_array``: ``render`` returns a tuple of E frames.
        options: the fields of :class:`ciliary.envs.eye.config.EyeConfig`. All scenes have one size and field.
    """

    metadata = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    @single_precision
    def __init__(
        self, num_envs: int = 1, *, max_episode_steps: int | None = 16, render_mode: str | None = None, **options: Any
    ) -> None:
        if num_envs < 1 or (max_episode_steps is not None and max_episode_steps < 1):
            raise ValueError(f"expected num_envs and max_episode_steps >= 1, got {num_envs} and {max_episode_steps}")
        check_render_mode(render_mode, self.metadata)
        self.num_envs, self.max_episode_steps, self.render_mode = num_envs, max_episode_steps, render_mode
        self.config = EyeConfig.of(options)
        self.single_action_space = spaces.Box(-1.0, 1.0, (len(self.config.muscles),), np.float32)
        self.single_observation_space = observation_space(self.config)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.world = EyeWorld(self.config, num_envs)
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._is_over = np.zeros(num_envs, dtype=bool)
        self._renderer: EyeRenderer | None = None

    @single_precision
    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Obs, dict[str, Any]]:
        """Begin an episode in every copy (or in those of ``options["reset_mask"]``); seed s gives copy i s + i.

        Raises:
            ValueError: there are not E seeds, or the mask is not (E,) bool with a True.
        """
        seeds = [None] * self.num_envs if seed is None else seed
        seeds = [seeds + i for i in range(self.num_envs)] if isinstance(seeds, int) else list(seeds)
        if len(seeds) != self.num_envs:
            raise ValueError(f"expected one seed for each of {self.num_envs} environments, got {len(seeds)}")
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(f"expected reset_mask ({self.num_envs},) bool with at least one True, got {mask!r}")
        if not mask.all():
            self._check_begun()
        for i in np.flatnonzero(mask):
            if seeds[i] is not None or self._rngs[i] is None:
                self._rngs[i], _ = seeding.np_random(seeds[i])
        self._begin(mask, options)
        return self.world.observe(), self._info(mask)

    @single_precision
    def step(self, actions: np.ndarray) -> tuple[Obs, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move all copies, look once, pay each; copies whose episode was over begin a new one instead."""
        self._check_begun()
        is_new = self._is_over.copy()
        actions = np.asarray(actions, dtype=np.float64)
        if actions.shape == (self.num_envs, len(self.config.muscles)):
            actions = np.where(is_new[:, None], 0.0, actions)
        self.world.targets(actions)  # complain before anything changes
        if is_new.any():
            self._begin(is_new, {})
        if is_new.all():
            paid, terminated = np.zeros(self.num_envs), np.zeros(self.num_envs, dtype=bool)
        else:
            paid, terminated = self.world.step(actions, is_new)
        n_most = np.inf if self.max_episode_steps is None else self.max_episode_steps
        truncated = (self.world.n_looks >= n_most) & ~is_new
        self._is_over = terminated | truncated
        return self.world.observe(), paid, terminated, truncated, self._info(np.ones(self.num_envs, dtype=bool))

    @single_precision
    def render(self) -> tuple[np.ndarray, ...] | None:
        """One frame per copy, (480, 640, 3) uint8, in mode ``rgb_array``."""
        if self.render_mode is None:
            return None
        self._check_begun()
        self._renderer = self._renderer or EyeRenderer()
        return tuple(self._renderer.draw(self.world, i) for i in range(self.num_envs))

    def _begin(self, mask: np.ndarray, options: dict[str, Any]) -> None:
        rows = [int(i) for i in np.flatnonzero(mask)]
        rngs = [rng for i in rows if (rng := self._rngs[i]) is not None]
        self.world.begin(rows, rngs, options)
        self._is_over[mask] = False

    def _info(self, mask: np.ndarray) -> dict[str, Any]:
        return _stacked([self.world.info(i) for i in range(self.num_envs)], mask)

    def _check_begun(self) -> None:
        if self.world.sighting is None:
            raise error.ResetNeeded("expected reset() first; call envs.reset(seed=...)")


def _stacked(infos: Sequence[dict[str, Any]], mask: np.ndarray) -> dict[str, Any]:
    """Infos as one, in Gymnasium's vector form: beside each entry, under ``_name``, which copies it holds for."""
    out: dict[str, Any] = {}
    for name, first in infos[0].items():
        values = [info[name] for info in infos]
        if isinstance(first, dict):
            out[name] = _stacked(values, mask)
        else:
            out[name] = np.array(values, dtype=object if isinstance(first, str) else None)
        out[f"_{name}"] = mask.copy()
    return out
