"""What all episodes of an environment share: the cortex, the objective, the photographs, the kinds of disturbance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex import Cortex, Percept, from_unit
from ciliary.envs.batch import Evaluation, Looks, as_evaluation, evaluate_pairs, make_looks, pairs_per_pass
from ciliary.envs.data.reading import MIN_SIDE_PX, Photograph
from ciliary.envs.data.sources import bundled, file, folder, scenes
from ciliary.envs.episode import ALL_DISTURBANCES, DisturbanceSampler, Episode, draw_episode
from ciliary.envs.objective.calibrated import make_objective
from ciliary.envs.objective.terms import Objective
from ciliary.envs.objective.views import Views, sample_views


@dataclass(frozen=True)
class Apparatus:
    """Settings of a :class:`Laboratory`; all optional. See :class:`ciliary.envs.single.AccommodationEnv`."""

    cortex: Cortex | Mapping[str, Any] | None = None
    objective: Objective | str | Path | None = None
    source: Sequence[Photograph] | str | Path = "bundled"
    disturbances: DisturbanceSampler = ALL_DISTURBANCES
    size_px: int | None = 96
    shape_px: tuple[int, int] | None = None
    n_views: int | None = None
    max_images: int = 20
    with_kl: bool = False

    def __post_init__(self) -> None:
        if self.n_views is not None and self.n_views < 1:
            raise ValueError(f"expected n_views >= 1 (a percept is judged against its views), got {self.n_views}")
        if min(self.shape_px or (self.size_px or MIN_SIDE_PX,)) < MIN_SIDE_PX:
            raise ValueError(f"expected images of at least {MIN_SIDE_PX} px, got {self.size_px=} and {self.shape_px=}")
        if not callable(self.disturbances) and len(self.disturbances) == 0:
            raise ValueError("expected at least one disturbance; for clean images pass disturbances=(None,)")
        if not isinstance(self.source, (str, Path)) and len(self.source) == 0:
            raise ValueError("expected at least one photograph in the source, got none")


class Laboratory:
    """Begins episodes and evaluates settings in them. Holds no episode itself."""

    def __init__(self, apparatus: Apparatus) -> None:
        self.apparatus = apparatus
        asked = apparatus.objective
        self.objective = asked if isinstance(asked, Objective) else make_objective(asked or "raw")
        cortex = apparatus.cortex
        if not isinstance(cortex, Cortex):
            options = {"recognise": True} if self.objective.recognises else {}
            cortex = Cortex(**{**options, **(cortex or {})}).eval().requires_grad_(False)
        self.cortex = cortex  # one that was handed in is left as it is: its owner may be training it
        self.n_views = self.objective.n_views if apparatus.n_views is None else apparatus.n_views
        self._photographs: Sequence[Photograph] | None = None

    @property
    def photographs(self) -> Sequence[Photograph]:
        """The photographs to choose from; a source given by name is opened when it is first needed."""
        if self._photographs is None:
            a = self.apparatus
            # a centre crop needs more than its own long side
            long_side_px = a.size_px if a.shape_px is None else 2 * max(a.shape_px)
            self._photographs = open_source(a.source, long_side_px)
        return self._photographs

    def begin(self, rng: np.random.Generator, options: Mapping[str, Any]) -> tuple[Episode, Looks]:
        """Draw an episode (see :func:`ciliary.envs.episode.draw_episode`) and take its looks."""
        a = self.apparatus
        episode = draw_episode(
            rng, self.photographs, options, disturbances=a.disturbances, size_px=a.size_px, shape_px=a.shape_px
        )
        return episode, self.look(episode.image, episode.views_seed)

    def look(self, image: Tensor, views_seed: int) -> Looks:
        """The image (3, H, W) through the views of a seed."""
        return make_looks(self.cortex, self.objective, image[None], [self._views(views_seed)])

    def evaluate(self, looks: Looks, index: Sequence[int], u: np.ndarray, *, with_percepts: bool = False) -> Evaluation:
        """What M settings u (M, P) are worth, each on the look of its index (M,)."""
        with torch.no_grad():
            terms, percepts = self._judge(looks, index, torch.as_tensor(u), with_percepts=with_percepts)
        return as_evaluation(u, terms, percepts)

    def loss(self, looks: Looks, u: Tensor, index: Tensor | None = None) -> Tensor:
        """Totals of N settings u (N, P), (N,), differentiable in u, each on the look of its index (N,) (the first)."""
        index = torch.zeros(len(u), dtype=torch.int64) if index is None else index
        return self._judge(looks, index, u)[0]["total"]

    def evaluate_with_gradient(
        self, looks: Looks, index: Sequence[int], u: np.ndarray
    ) -> tuple[Evaluation, np.ndarray]:
        """As :meth:`evaluate`, and d total / d u of each setting, (M, P) float64, forward and backward by turns.

        Settings go through in passes, and each pass is differentiated before the next: the memory needed is that of
        one pass (``max_images``), whatever M is. A gradient may be non-finite where the percept is.
        """
        n_rows = pairs_per_pass(looks, self.apparatus.max_images)
        parts: list[dict[str, Tensor]] = []
        gradients: list[Tensor] = []
        for i in range(0, len(u), n_rows):
            part = torch.tensor(u[i : i + n_rows], dtype=torch.float32, requires_grad=True)
            with torch.enable_grad():
                terms, _ = self._judge(looks, index[i : i + n_rows], part)
                gradients.append(torch.autograd.grad(terms["total"].sum(), part)[0].double())
            parts.append({name: value.detach() for name, value in terms.items()})
        terms = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return as_evaluation(u, terms), torch.cat(gradients).numpy()

    def percept(self, looks: Looks, u: np.ndarray) -> Percept:
        """What the cortex perceives of the first image, without its views, at N settings u (N, P)."""
        row = torch.zeros(len(u), dtype=torch.int64)
        with torch.no_grad():
            return self.cortex(looks.images[0, row], from_unit(torch.as_tensor(u)), looks.cues[row])

    def _judge(
        self, looks: Looks, index: Sequence[int] | Tensor, u: Tensor, *, with_percepts: bool = False
    ) -> tuple[dict[str, Tensor], Percept | None]:
        return evaluate_pairs(
            self.cortex,
            self.objective,
            looks,
            torch.as_tensor(index, dtype=torch.int64),
            u.to(torch.float32),
            max_images=self.apparatus.max_images,
            with_percepts=with_percepts,
            with_kl=self.apparatus.with_kl,
        )

    def _views(self, seed: int) -> Views:
        n_photometric = (self.n_views + 1) // 2
        return sample_views(seed, n_photometric=n_photometric, n_geometric=self.n_views - n_photometric)


def open_source(source: Sequence[Photograph] | str | Path, long_side_px: int | None) -> Sequence[Photograph]:
    """A source by its name: ``bundled``, ``scenes``, or the path of a file or folder; a sequence is taken as it is.

    Raises:
        UnreadableImage: if it is none of these.
    """
    if source == "bundled":
        return bundled(long_side_px)
    if source == "scenes":
        return scenes()
    if isinstance(source, (str, Path)):
        return folder(source, long_side_px) if Path(source).is_dir() else file(source, long_side_px)
    return source
