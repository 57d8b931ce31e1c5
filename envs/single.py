"""The environment: one image, disturbed; the action moves the cortex's parameters until the percept holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ciliary.cortex import Cortex, Percept
from ciliary.cortex.parameters import N_PARAMETERS
from ciliary.envs.batch import Evaluation, Looks
from ciliary.envs.core import AbstractPerceptionEnv, Obs
from ciliary.envs.data.reading import Photograph
from ciliary.envs.dynamics import ActionMode, Rules
from ciliary.envs.episode import ALL_DISTURBANCES, DisturbanceSampler, Episode
from ciliary.envs.evaluator import Apparatus, Laboratory
from ciliary.envs.objective.terms import TERMS, Objective
from ciliary.envs.observation import observation_space, observed_terms, statistics, thumbnail
from ciliary.envs.render import Renderer

#: Order of the observation's ``terms``.
OBSERVED_TERMS: tuple[str, ...] = (*TERMS, "total")


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
    | ``statistics`` | (D,) | float32 | [-1, 1] | the percept: ``ciliary.envs.observation.STATISTICS`` names the entries |
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
    Args:
        cortex: a cortex, or the keyword arguments of one, such as ``{"depth": "pictorial"}``.
        objective: ``raw`` (the default), ``calibrated``, the path of a calibration, ``recognition`` (raw, and that what
            is recognised holds too), or an :class:`Objective`.
        source: photographs to choose from: a sequence such as those of ``ciliary.envs.data.sources``, or by name ``bundled``,
            ``scenes`` (synthetic, with known answers), or the path of a file or folder.
        disturbances: specs to choose from uniformly (None is clean, ``"fog"`` draws its severity), or a function of a
            generator that returns one. Default: clean and the eight kinds.
        size_px: long side that images are shrunk to, never enlarged; None keeps their size.
        shape_px: (height, width) that all images are centre-cropped and resized to, in place of ``size_px``.
        n_views: views that a percept is judged against (None: as many as the objective asks for); half of them
            (rounded up) photometric, the rest geometric.
        max_images: images per forward pass; bounds memory, not results.
        with_kl: adds ``symmetric_kl`` to the terms, for the log; slow.
        action_mode, max_step, step_cost, tolerance, patience: see :class:`ciliary.envs.dynamics.Rules`.
        render_mode: ``rgb_array``, (480, 640, 3) uint8: image, contours, proto-objects, losses; or None.

    ## Video
    ``gymnasium.wrappers.RecordVideo`` (with moviepy: the extra ``video``) takes a frame at the reset and at each step,
    so it shows agents that step. A controller that searches by populations steps only to the setting it applies:
    its search is shown by :mod:`ciliary.tuning.sessions.animation`.

    ## Vector form
    ``gymnasium.make_vec("Ciliary/Accommodation-v0", num_envs=8)`` gives :class:`ciliary.envs.vector.AccommodationVectorEnv`:
    all episodes in one forward pass.

    ## Version history
    v0: first version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        *,
        cortex: Cortex | Mapping[str, Any] | None = None,
        objective: Objective | str | Path | None = None,
        source: Sequence[Photograph] | str | Path = "bundled",
        disturbances: DisturbanceSampler = ALL_DISTURBANCES,
        size_px: int | None = 96,
        shape_px: tuple[int, int] | None = None,
        n_views: int | None = None,
        max_images: int = 20,
        with_kl: bool = False,
        action_mode: ActionMode = "delta",
        max_step: float = 0.25,
        step_cost: float = 0.001,
        tolerance: float = 1e-5,
        patience: int = 5,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(n_parameters=N_PARAMETERS, rules=Rules(action_mode, max_step, step_cost, tolerance, patience))
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                f"expected render_mode None or one of {self.metadata['render_modes']}, got {render_mode!r}"
            )
        self.render_mode = render_mode
        self.laboratory = Laboratory(
            Apparatus(
                cortex=cortex,
                objective=objective,
                source=source,
                disturbances=disturbances,
                size_px=size_px,
                shape_px=shape_px,
                n_views=n_views,
                max_images=max_images,
                with_kl=with_kl,
            )
        )
        self.observation_space = observation_space(N_PARAMETERS, OBSERVED_TERMS)
        self._episode: Episode | None = None
        self._looks: Looks | None = None
        self._seen: Percept | None = None
        self._renderer: Renderer | None = None

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
        return self.laboratory.objective.name

    @property
    def starts(self) -> np.ndarray | None:
        """Settings (M, P) that the objective recommends to try first, on this image once an episode has begun."""
        objective = self.laboratory.objective
        return objective.starts if self._looks is None else objective.starts_on(self._looks.panel)

    @property
    def min_gain(self) -> float:
        """Gain in the total below which the objective finds a change not worth it."""
        return self.laboratory.objective.min_gain

    @property
    def is_exact(self) -> bool:
        """Whether a setting is worth the same whatever the views, because there are none."""
        return self.laboratory.n_views == 0

    def evaluate(self, u: np.ndarray, views_seed: int | None = None) -> Evaluation:
        """What N settings u (N, P) are worth; see :meth:`ciliary.envs.core.AbstractPerceptionEnv.evaluate`."""
        u = self._check_population(u)
        episode, looks = self._begun()
        if self.laboratory.n_views == 0:
            views_seed = None  # an objective without views sees the same at every seed
        looks = looks if views_seed is None else self.laboratory.look(episode.image, views_seed)
        self.n_evaluations += len(u)
        return self.laboratory.evaluate(looks, [0] * len(u), u)

    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Evaluation, np.ndarray]:
        """What N settings are worth, and d total / d u, (N, P); see the base class. Backward per pass."""
        u = self._check_population(u)
        self.n_evaluations += len(u)
        return self.laboratory.evaluate_with_gradient(self._begun()[1], [0] * len(u), u)

    def loss(self, u: Tensor) -> Tensor:
        """The total of N settings u (N, P), (N,), differentiable in u."""
        return self.laboratory.loss(self._begun()[1], u)

    def percept(self, u: np.ndarray) -> Percept:
        """What the cortex perceives at u, (P,) or (N, P); batch 1 or N, without gradient."""
        return self.laboratory.percept(self._begun()[1], self._check_population(np.atleast_2d(u)))

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
        self._episode, self._looks = self.laboratory.begin(self.np_random, options)

    def _measure(self, u: np.ndarray) -> Evaluation:
        evaluation = self.laboratory.evaluate(self._begun()[1], [0], u, with_percepts=True)
        self._seen = evaluation.percepts
        self.n_evaluations += 1
        return evaluation

    def _observe(self) -> Obs:
        assert self._seen is not None
        image = self.episode.image[None]
        terms = {name: np.array([value]) for name, value in self._terms.items()}
        return {
            "image": thumbnail(image)[0],
            "statistics": statistics(image, self._seen)[0],
            "terms": observed_terms(terms, OBSERVED_TERMS)[0],
            "u": self.u,
        }

    def _describe(self) -> dict[str, Any]:
        return describe(self.episode)

    def _is_ready(self) -> bool:
        return self._episode is not None

    def _begun(self) -> tuple[Episode, Looks]:
        if self._episode is None or self._looks is None:
            raise ValueError("no episode has begun; call env.reset(seed=...) first")
        return self._episode, self._looks


def describe(episode: Episode) -> dict[str, Any]:
    """The hidden context of an episode, for info."""
    name, disturbance = episode.photograph.name, str(episode.disturbance)
    return {
        "context_id": f"{name}/{disturbance}" + ("/normalised" if episode.is_normalised else ""),
        "image": name,
        "disturbance": disturbance,
        "views_seed": episode.views_seed,
    }
