"""The environment: one image, disturbed; the action moves the cortex's parameters until the percept holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.device import to_device
from ciliary.cortex.floats import single_precision
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.envs.batch import Evaluation, ImageBatch
from ciliary.envs.config import EnvConfig
from ciliary.envs.core import AbstractPerceptionEnv, Obs, Settings
from ciliary.envs.data.reading import Photograph
from ciliary.envs.episode import Episode, EpisodeSource
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.holding import how_it_holds
from ciliary.envs.looks import LookBook, look_at
from ciliary.envs.objective.terms import coarse_masks
from ciliary.envs.observation import Observer
from ciliary.envs.render import Renderer


class AccommodationEnv(AbstractPerceptionEnv):
    """Focus a visual cortex on one image: move its P perceptual parameters so that its percept holds, without labels.

    ## Description
    An episode is one photograph under one disturbance. The cortex perceives it, and several views of it (other light,
    other place); the objective measures how well these percepts agree, how much of the image they explain and at
    what cost. The agent moves the parameters; the world does not move.

    ## Action space
    ``Box(-1, 1, (P,), float32)``, one entry per row of ``ciliary.cortex.parameters.PARAMETERS``, in that order.

    | action_mode | meaning |
    |---|---|
    | ``delta`` (default) | u <- clip(u + max_step * action, -1, 1) |
    | ``absolute`` | u <- action |

    u is the parameters mapped to [-1, 1] over their range (linear or logarithmic, as the parameter table says).

    ## Observation space
    A flat ``Dict``; arrays are fresh at every step. The disturbance is never in it.

    | key | shape | dtype | range | meaning |
    |---|---|---|---|---|
    | ``image`` | (3, 48, 48) | uint8 | 0 .. 255 | the disturbed image, resampled without regard to its aspect |
    | ``statistics`` | (D,) | float32 | [-1, 1] | the percept: ``ciliary.envs.observation.STATISTICS`` names them |
    | ``terms`` | (5,) | float32 | [-2, 2] | stability, consistency, collapse, economy, total (0: not measured) |
    | ``u`` | (P,) | float32 | [-1, 1] | the present settings |

    ## Reward
    Previous total - new total - ``step_cost``. Totals are clipped to [-2, 2], and one that is not a number counts as 2.
    With the default weights the total lies in about [0, 1], so the reward of a step lies in about
    [-1 - step_cost, 1 - step_cost]: the extreme gain is from a percept that holds nowhere to one that holds
    perfectly. The rewards of an episode sum to first total - last total - n_steps * step_cost: dawdling costs,
    detours do not pay.

    ## Start of an episode
    u = the defaults. Photograph, disturbance, its severity and seed, and the views are drawn from the seeded generator,
    each from a stream of its own, unless the reset options name them.

    | reset option | value |
    |---|---|
    | ``image`` | index in the source, name, or an ``ciliary.envs.data.sources.Photograph`` |
    | ``disturbance`` | ``"fog:3"``, ``"fog"`` (severity drawn from 1 to 5), None or ``"none"`` (clean) |
    | ``normalise`` | True stretches the disturbed image between its 1st and 99th percentile before the cortex sees it |
    | ``views_seed`` | int: these views |

    ## End of an episode
    Terminated when the total changed by less than ``tolerance`` in ``patience`` steps in a row. Truncated by the
    ``TimeLimit`` that ``gymnasium.make`` adds (64 steps).

    ## Info
    ``terms`` (name -> float, ``n_segments`` among them; may be non-finite; without views those about views are
    missing), ``u`` (P,), ``theta`` (name -> physical value), ``n_evaluations``, and the hidden context: ``context_id``
    (image and disturbance as one string), ``image`` (name), ``disturbance`` (such as ``fog:3``), ``views_seed``.

    ## Arguments
    Those of :class:`ciliary.envs.config.EnvConfig`, by keyword, and ``render_mode``: ``rgb_array``, (480, 640, 3)
    uint8: image, contours, segments, losses; or None.

    ## Video
    ``gymnasium.wrappers.RecordVideo`` (with moviepy: the extra ``video``) takes a frame at the reset and at each step,
    so it shows agents that step. A controller that searches by populations steps only to the setting it applies:
    its search is shown by :mod:`ciliary.tuning.sessions.animation`.

    ## Vector form
    ``gymnasium.make_vec("Ciliary/Accommodation-v0", num_envs=8)`` gives
    :class:`ciliary.envs.vector.AccommodationVectorEnv`: all episodes in one forward pass.

    ## Version history
    v0: first version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    @single_precision
    def __init__(self, config: EnvConfig | None = None, *, render_mode: str | None = None, **options: Any) -> None:
        if config is not None and options:
            raise TypeError(f"expected a config or its fields by keyword, got a config and {', '.join(options)}")
        config = EnvConfig.of(options) if config is None else config
        check_render_mode(render_mode, self.metadata)
        self.render_mode = render_mode
        self.config = config
        self.evaluator = Evaluator.of(config)
        perceiver = self.evaluator.perceiver
        super().__init__(Settings(perceiver.table, config.default_u, perceiver.inert), rules=config.rules)
        self._source = source_of(config)
        self._observer = Observer(perceiver)
        self.observation_space = self._observer.space
        self._episode: Episode | None = None
        self._batch: ImageBatch | None = None
        self._seen: AbstractPercept | None = None
        self._renderer: Renderer | None = None
        self._looks = LookBook()

    # --- what controllers and figures ask for
    @property
    def episode(self) -> Episode:
        """The present episode: photograph, disturbance, seeds and the image seen."""
        return self._begun()[0]

    @property
    def photograph(self) -> Photograph:
        """The photograph of the present episode, undisturbed."""
        return self.episode.photograph

    @property
    def image(self) -> Tensor:
        """The disturbed image as the cortex sees it, (3, H, W) in [0, 1]; a copy."""
        return self.episode.image.clone()

    @property
    def objective_name(self) -> str:
        """``raw``, ``recognition``, ``calibrated``, or what another objective calls itself."""
        return self.evaluator.objective.name

    @property
    def starts(self) -> np.ndarray | None:
        """Settings (M, P) that the objective recommends to try first, on this image once an episode has begun."""
        objective = self.evaluator.objective
        starts = objective.starts if self._batch is None else objective.starts_on(self._batch.panel)
        return None if starts is None else self._pinned(starts).astype(np.float32)

    @property
    def min_gain(self) -> float:
        """Gain in the total below which the objective finds a change not worth it."""
        return self.evaluator.objective.min_gain

    @property
    def is_exact(self) -> bool:
        """Whether a setting is worth the same whatever the views, because there are none."""
        return self.evaluator.n_views == 0

    @property
    def observed(self) -> dict[str, tuple[str, ...]]:
        """Names of what the observer tells."""
        return {"statistics": self._observer.statistics, "terms": self._observer.terms}

    @property
    def has_gradient(self) -> bool:
        """Whether the perceiver declares one."""
        return "gradient" in self.evaluator.perceiver.answers

    @single_precision
    def evaluate(self, u: np.ndarray, views_seed: int | None = None) -> Evaluation:
        """What N settings u (N, P) are worth; see :meth:`ciliary.envs.core.AbstractPerceptionEnv.evaluate`."""
        u = self._check_population(u)
        episode, batch = self._begun()
        if self.evaluator.n_views == 0:
            views_seed = None  # an objective without views sees the same at every seed
        batch = batch if views_seed is None else self.evaluator.look(episode.image[None], [views_seed])
        self.n_evaluations += len(u)
        return self._looked(self.evaluator.evaluate(batch, [0] * len(u), u, with_looks=self._keeps(views_seed)))

    @single_precision
    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Evaluation, np.ndarray]:
        """What N settings are worth, and d total / d u, (N, P); see the base class. Backward per pass."""
        u = self._check_population(u)
        self.n_evaluations += len(u)
        return self.evaluator.evaluate_with_gradient(self._begun()[1], [0] * len(u), u)

    def loss(self, u: Tensor) -> Tensor:
        """The total of N settings u (N, P), (N,), differentiable in u."""
        return self.evaluator.loss(self._begun()[1], u)

    @single_precision
    def percept(self, u: np.ndarray) -> AbstractPercept:
        """What is perceived at u, (P,) or (N, P); batch 1 or N, without gradient, on the CPU."""
        percept = self.evaluator.percept(self._begun()[1], self._check_population(np.atleast_2d(u)))
        seen: AbstractPercept = to_device(percept, "cpu")
        return seen

    @property
    def looks(self) -> LookBook:
        """The looks of the episode so far, of an environment ``with_looks``."""
        return self._looks

    def take_looks(self, u: np.ndarray) -> None:
        """Look at settings u (N, P) that were not looked at; those that were are not perceived again."""
        u = self._check_population(np.atleast_2d(u))
        left = [i for i, setting in enumerate(u) if setting not in self._looks]
        if left:
            batch, perceiver = self._begun()[1], self.evaluator.perceiver
            cues = None if batch.cues is None else batch.cues[torch.zeros(1, dtype=torch.int64)]
            self._looks.add(u[left], look_at(perceiver, batch.images[0, :1], torch.as_tensor(u[left]), cues))

    def judge_looks(self) -> dict[str, float]:
        """The terms of what the looks come to that take no views."""
        _, batch = self._begun()
        objective, percept = self.evaluator.objective, self._looks.percept
        terms = objective.own_terms(coarse_masks(percept, objective.settings), None, batch.reference)
        return {name: float(value[0]) for name, value in terms.items()}

    def holds(self, settings: Mapping[str, np.ndarray], seed: int) -> dict[str, dict[str, float]]:
        """Stability and consistency of percepts of the image, by name, on views of ``seed``; not counted.

        Each is that at one setting (1, P), or what the looks at several (K, P) come to; see
        :func:`ciliary.envs.holding.how_it_holds`.
        """
        episode, _ = self._begun()
        asked = {name: torch.as_tensor(self._check_population(u)) for name, u in settings.items()}
        objective = self.evaluator.objective
        return how_it_holds(self.evaluator.perceiver, episode.image, asked, seed=seed, how=objective.settings)

    @single_precision
    def render(self) -> np.ndarray | None:
        """A frame (480, 640, 3) uint8 in mode ``rgb_array``, None without a mode."""
        if self.render_mode is None:
            return None
        self._renderer = self._renderer or Renderer()
        first, last, n_steps = self.history[0]["total"], self.history[-1]["total"], len(self.history) - 1
        title = f"{self.photograph.name} · {self.episode.disturbance} · step {n_steps} · total {first:.3f} → {last:.3f}"
        assert self._seen is not None
        return self._renderer.draw(self.episode.image.numpy(), self._seen, self.history, title=title)

    # --- what the clock asks for
    def _begin(self, options: dict[str, Any]) -> None:
        self._episode = self._source.draw(self.np_random, options)
        self._batch = self.evaluator.look(self._episode.image[None], [self._episode.views_seed])
        self._looks = LookBook()

    def _measure(self, u: np.ndarray) -> Evaluation:
        keeps = bool(self.history) and self._keeps(None)  # what the reset measures is no look that somebody took
        evaluation = self.evaluator.evaluate(self._begun()[1], [0], u, with_percepts=True, with_looks=keeps)
        self._seen = evaluation.percepts
        self.n_evaluations += 1
        return self._looked(evaluation)

    def _keeps(self, views_seed: int | None) -> bool:
        return self.config.with_looks and views_seed is None

    def _looked(self, evaluation: Evaluation) -> Evaluation:
        """With the terms of the looks, if there are any."""
        if evaluation.looks is None:
            return evaluation
        return replace(evaluation, terms=evaluation.terms | self._looks.add(evaluation.u, evaluation.looks))

    def _observe(self) -> Obs:
        assert self._seen is not None
        terms = {name: np.array([value]) for name, value in self._terms.items()}
        seen = self._observer.observe(self.episode.image[None], self._seen, terms, self.u[None])
        return {name: values[0] for name, values in seen.items()}

    def _describe(self) -> dict[str, Any]:
        return describe(self.episode)

    def _is_ready(self) -> bool:
        return self._episode is not None

    def _begun(self) -> tuple[Episode, ImageBatch]:
        if self._episode is None or self._batch is None:
            raise ValueError("no episode has begun; call env.reset(seed=...) first")
        return self._episode, self._batch


def check_render_mode(mode: str | None, metadata: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless the mode is None or one of the metadata's."""
    if mode not in (None, *metadata["render_modes"]):
        raise ValueError(f"expected render_mode None or one of {metadata['render_modes']}, got {mode!r}")


def source_of(config: EnvConfig) -> EpisodeSource:
    """Where the episodes of a configuration come from."""
    return EpisodeSource(
        config.source, disturbances=config.disturbances, size_px=config.size_px, shape_px=config.shape_px
    )


def describe(episode: Episode) -> dict[str, Any]:
    """The hidden context of an episode, for info."""
    name, disturbance = episode.photograph.name, str(episode.disturbance)
    return {
        "context_id": f"{name}/{disturbance}" + ("/normalised" if episode.is_normalised else ""),
        "image": name,
        "disturbance": disturbance,
        "views_seed": episode.views_seed,
    }
