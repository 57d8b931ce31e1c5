"""Many episodes at once: the accommodation environment with one forward pass for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import error, spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ciliary.cortex.floats import single_precision
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.envs.batch import ImageBatch, stack_batches
from ciliary.envs.config import EnvConfig
from ciliary.envs.core import HasSettings, Obs, Settings
from ciliary.envs.dynamics import count_still, is_converged, move, reward
from ciliary.envs.episode import Episode
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.observation import Observer
from ciliary.envs.render import Renderer
from ciliary.envs.single import check_render_mode, describe, source_of


class AccommodationVectorEnv(HasSettings, VectorEnv[Any, np.ndarray, np.ndarray]):
    """E copies of :class:`ciliary.envs.single.AccommodationEnv`, evaluated in one forward pass of the cortex.

    Same actions, observations, rewards and infos, with a leading axis E; infos follow Gymnasium's vector form (arrays,
    and a mask ``_name`` beside each). Copy i of ``reset(seed=s)`` is the single environment of seed s + i with the same
    ``shape_px``.

    All images are brought to one ``shape_px`` (centre crop, then resampling), so that one batch can hold them.

    Autoreset is ``NEXT_STEP``: the step after an episode's last one ignores that copy's action, begins its next
    episode and pays 0. Reset options hold for the reset they are given to, not for the episodes that follow by
    themselves; ``reset_mask`` (bool (E,)) among them resets only some copies.

    Args:
        num_envs: E.
        max_episode_steps: an episode is truncated after so many steps; None never. (A vector entry point gets no
            ``TimeLimit`` wrapper: the count is kept here.)
        shape_px: (height, width) of all images.
        render_mode: ``rgb_array``: ``render`` returns a tuple of E frames.
        options: the other fields of :class:`ciliary.envs.config.EnvConfig`, as for the single environment.
    """

    metadata = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    @single_precision
    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = 64,
        shape_px: tuple[int, int] = (64, 96),
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        if num_envs < 1 or (max_episode_steps is not None and max_episode_steps < 1):
            raise ValueError(f"expected num_envs and max_episode_steps >= 1, got {num_envs} and {max_episode_steps}")
        check_render_mode(render_mode, self.metadata)
        self.num_envs, self.max_episode_steps, self.render_mode = num_envs, max_episode_steps, render_mode
        self.config = EnvConfig.of({**options, "shape_px": shape_px})
        self.rules = self.config.rules
        self.evaluator = Evaluator.of(self.config)
        perceiver = self.evaluator.perceiver
        self._settings = Settings(perceiver.table, self.config.default_u, perceiver.inert)
        self._source = source_of(self.config)
        self._observer = Observer(perceiver)
        self.single_action_space = spaces.Box(-1.0, 1.0, (self.n_parameters,), np.float32)
        self.single_observation_space = self._observer.space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)

        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._episodes: list[Episode | None] = [None] * num_envs
        self._each: list[ImageBatch | None] = [None] * num_envs
        self._batch: ImageBatch | None = None  # all of them, stacked
        self._seen: AbstractPercept | None = None
        self._u = np.tile(self.default_u, (num_envs, 1))
        self._terms: dict[str, np.ndarray] = {}
        self._history: list[list[dict[str, float]]] = [[] for _ in range(num_envs)]
        self._n_steps = np.zeros(num_envs, dtype=np.int64)
        self._n_still = np.zeros(num_envs, dtype=np.int64)
        self._is_over = np.zeros(num_envs, dtype=bool)
        self._renderer: Renderer | None = None

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The present episodes."""
        if any(episode is None for episode in self._episodes):
            raise error.ResetNeeded("expected reset() first; call envs.reset(seed=...)")
        return tuple(episode for episode in self._episodes if episode is not None)

    def loss(self, u: Tensor) -> Tensor:
        """Totals of M settings u (M, P), (M,), differentiable in u.

        M is a multiple of E, images before settings: M / E settings for the first episode, then for the next. With
        M = E each setting goes to the episode of its own copy.

        Raises:
            ValueError: if M is no multiple of E.
        """
        self.episodes  # noqa: B018 -- says so if there was no reset
        if u.ndim != 2 or len(u) == 0 or len(u) % self.num_envs:
            raise ValueError(f"expected u (M, P) with M a multiple of {self.num_envs} episodes, got {tuple(u.shape)}")
        assert self._batch is not None
        return self.evaluator.loss(self._batch, u, index=torch.arange(len(u)) // (len(u) // self.num_envs))

    @single_precision
    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Obs, dict[str, Any]]:
        """Begin an episode in every copy (or in those of ``options["reset_mask"]``); seed s gives copy i s + i.

        Raises:
            ValueError: if there are not E seeds, or the mask is not (E,) bool with a True.
        """
        seeds = _one_each(seed, self.num_envs)
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(f"expected reset_mask ({self.num_envs},) bool with at least one True, got {mask!r}")
        if not mask.all():
            self.episodes  # noqa: B018 -- the others must have begun
        for i in np.flatnonzero(mask):
            if seeds[i] is not None or self._rngs[i] is None:
                self._rngs[i], _ = seeding.np_random(seeds[i])
        self._begin(mask, options)
        self._measure(mask)
        return self._observe(), self._info(mask)

    @single_precision
    def step(self, actions: np.ndarray) -> tuple[Obs, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move all copies, look once, pay each; copies whose episode was over begin a new one instead."""
        self.episodes  # noqa: B018 -- says so if there was no reset
        is_new = self._is_over.copy()
        actions = np.where(is_new[:, None], 0, np.asarray(actions, dtype=np.float32))
        self._u = self._settings.pinned(move(self._u, actions, rules=self.rules), self.default_u)
        if is_new.any():
            self._begin(is_new, {})
        previous = self._terms["total"]
        self._n_steps[~is_new] += 1
        self._measure(np.ones(self.num_envs, dtype=bool))
        total = self._terms["total"]
        self._n_still = np.where(is_new, 0, count_still(self._n_still, previous, total, rules=self.rules))
        rewards = np.where(is_new, 0.0, reward(previous, total, rules=self.rules))
        terminated = is_converged(self._n_still, rules=self.rules) & ~is_new
        n_most = np.inf if self.max_episode_steps is None else self.max_episode_steps
        truncated = (self._n_steps >= n_most) & ~is_new
        self._is_over = terminated | truncated
        return self._observe(), rewards, terminated, truncated, self._info(np.ones(self.num_envs, dtype=bool))

    @single_precision
    def render(self) -> tuple[np.ndarray, ...] | None:
        """One frame per copy, (480, 640, 3) uint8, in mode ``rgb_array``."""
        if self.render_mode is None:
            return None
        self._renderer = self._renderer or Renderer()
        assert self._seen is not None
        return tuple(
            self._renderer.draw(
                episode.image.numpy(),
                self._seen[i],
                self._history[i],
                title=f"{episode.photograph.name} · {episode.disturbance} · step {self._n_steps[i]}",
            )
            for i, episode in enumerate(self.episodes)
        )

    def _begin(self, mask: np.ndarray, options: Mapping[str, Any]) -> None:
        for i in np.flatnonzero(mask):
            rng = self._rngs[i]
            assert rng is not None
            episode = self._source.draw(rng, options)
            self._episodes[i] = episode
            self._each[i] = self.evaluator.look(episode.image[None], [episode.views_seed])
            self._history[i] = []
        self._batch = stack_batches([batch for batch in self._each if batch is not None])
        self._u[mask] = self.default_u
        self._n_steps[mask] = 0
        self._n_still[mask] = 0
        self._is_over[mask] = False

    def _measure(self, is_counted: np.ndarray) -> None:
        assert self._batch is not None
        evaluation = self.evaluator.evaluate(self._batch, range(self.num_envs), self._u, with_percepts=True)
        self._terms, self._seen = evaluation.terms, evaluation.percepts
        for i in np.flatnonzero(is_counted):
            self._history[i].append(evaluation.row(int(i)))

    def _observe(self) -> Obs:
        assert self._seen is not None
        images = torch.stack([episode.image for episode in self.episodes])
        return self._observer.observe(images, self._seen, self._terms, self._u.copy())

    def _info(self, mask: np.ndarray) -> dict[str, Any]:
        theta = {
            name: value.double().numpy() for name, value in self.parameters.from_unit(torch.as_tensor(self._u)).items()
        }
        context = [describe(episode) for episode in self.episodes]
        texts = {name: np.array([row[name] for row in context], dtype=object) for name in context[0]}
        info = {
            "terms": _masked({name: values.copy() for name, values in self._terms.items()}, mask),
            "u": self._u.copy(),
            "theta": _masked(theta, mask),
            "n_evaluations": self._n_steps.copy(),
            **texts,
        }
        return _masked(info, mask)


def _masked(info: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """Gymnasium's vector form: beside each entry, under ``_name``, which copies it holds for."""
    return info | {f"_{name}": mask.copy() for name in info}


def _one_each(seed: int | Sequence[int | None] | None, n: int) -> list[int | None]:
    if seed is None:
        return [None] * n
    seeds: list[int | None] = [seed + i for i in range(n)] if isinstance(seed, int) else list(seed)
    if len(seeds) != n:
        raise ValueError(f"expected one seed for each of {n} environments, got {len(seeds)}")
    return seeds
