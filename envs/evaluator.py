"""What settings are worth: a perceiver and an objective, put to images. Holds no episode and no photograph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.floats import single_precision
from ciliary.cortex.integration.looks import Looks, join_looks
from ciliary.cortex.perceiver import AbstractPercept, Perceiver, needs
from ciliary.envs.batch import Evaluation, ImageBatch, as_evaluation, evaluate_pairs, make_batch, pairs_per_pass
from ciliary.envs.config import EnvConfig
from ciliary.envs.objective.make import make_objective
from ciliary.envs.objective.terms import Objective
from ciliary.envs.objective.views import sample_views


class Evaluator:
    """Looks at images and evaluates populations of settings on them.

    Args:
        perceiver: what perceives.
        objective: what percepts are judged by.
        n_views: views to judge by; None: as many as the objective asks for.
        max_images: images per forward pass; bounds memory, not results.
        with_kl: add ``symmetric_kl`` to the terms, for the log; slow.

    Raises:
        ValueError: the objective is not for this perceiver, or needs what it does not answer.
    """

    @single_precision
    def __init__(
        self,
        perceiver: Perceiver,
        objective: Objective,
        *,
        n_views: int | None = None,
        max_images: int = 20,
        with_kl: bool = False,
    ) -> None:
        objective.check(perceiver)
        self.perceiver = perceiver
        self.objective = objective
        self.n_views = objective.n_views if n_views is None else n_views
        self.max_images = max_images
        self.with_kl = with_kl

    @classmethod
    def of(cls, config: EnvConfig) -> Evaluator:
        """The evaluator that a configuration describes."""
        asked, centre_u = config.objective, config.default_u
        if config.perceiver is not None:
            perceiver = config.make_perceiver()
            objective = make_objective(asked, perceiver=perceiver.name, centre_u=centre_u)
        else:
            objective = make_objective(asked, perceiver=config.cortex_name, centre_u=centre_u)
            perceiver = config.make_perceiver(objective)
        return cls(perceiver, objective, n_views=config.n_views, max_images=config.max_images, with_kl=config.with_kl)

    @single_precision
    def look(self, images: Tensor, views_seeds: Sequence[int]) -> ImageBatch:
        """Images (E, 3, H, W), each through the views of its seed."""
        n_photometric = (self.n_views + 1) // 2
        n_geometric = self.n_views - n_photometric
        views = [sample_views(seed, n_photometric=n_photometric, n_geometric=n_geometric) for seed in views_seeds]
        return make_batch(self.perceiver, self.objective, images, views)

    @single_precision
    def judge(
        self,
        batch: ImageBatch,
        index: Sequence[int] | Tensor,
        u: Tensor,
        *,
        with_percepts: bool = False,
        on_percept: Callable[[AbstractPercept], None] | None = None,
    ) -> tuple[dict[str, Tensor], AbstractPercept | None]:
        """Terms of M settings u (M, P), each on the image of its index (M,); differentiable where the perceiver is.

        See :func:`ciliary.envs.batch.evaluate_pairs`.
        """
        return evaluate_pairs(
            self.perceiver,
            self.objective,
            batch,
            torch.as_tensor(index, dtype=torch.int64),
            u.to(torch.float32),
            max_images=self.max_images,
            with_percepts=with_percepts,
            with_kl=self.with_kl,
            on_percept=on_percept,
        )

    @single_precision
    def evaluate(
        self,
        batch: ImageBatch,
        index: Sequence[int],
        u: np.ndarray,
        *,
        with_percepts: bool = False,
        with_looks: bool = False,
    ) -> Evaluation:
        """What M settings u (M, P) are worth, each on the image of its index (M,).

        ``with_looks``: what they saw, as looks at one scene; all indices are the same then.
        """
        looks: list[Looks] = []

        def keep(percept: AbstractPercept) -> None:
            looks.append(Looks.of(percept).flat())

        with torch.no_grad():
            terms, percepts = self.judge(
                batch,
                index,
                torch.as_tensor(u),
                with_percepts=with_percepts,
                on_percept=keep if with_looks else None,
            )
        return as_evaluation(u, terms, percepts, join_looks(looks) if with_looks else None)

    @single_precision
    def loss(self, batch: ImageBatch, u: Tensor, index: Tensor | None = None) -> Tensor:
        """Totals of N settings u (N, P), (N,), differentiable in u, each on the image of its index (N,) (the first).

        Raises:
            ValueError: the perceiver has no gradient.
        """
        needs(self.perceiver, "gradient", "a differentiable loss")
        index = torch.zeros(len(u), dtype=torch.int64) if index is None else index
        return self.judge(batch, index, u)[0]["total"]

    @single_precision
    def evaluate_with_gradient(
        self, batch: ImageBatch, index: Sequence[int], u: np.ndarray
    ) -> tuple[Evaluation, np.ndarray]:
        """As :meth:`evaluate`, and d total / d u of each setting, (M, P) float64, forward and backward by turns.

        Settings go through in passes, and each pass is differentiated before the next: the memory needed is that of
        one pass (``max_images``), whatever M is. A gradient may be non-finite where the percept is.

        Raises:
            ValueError: the perceiver has no gradient.
        """
        needs(self.perceiver, "gradient", "descending along gradients")
        n_rows = pairs_per_pass(batch, self.max_images)
        parts: list[dict[str, Tensor]] = []
        gradients: list[Tensor] = []
        for i in range(0, len(u), n_rows):
            part = torch.tensor(u[i : i + n_rows], dtype=torch.float32, requires_grad=True)
            with torch.enable_grad():
                terms, _ = self.judge(batch, index[i : i + n_rows], part)
                gradients.append(torch.autograd.grad(terms["total"].sum(), part)[0].double())
            parts.append({name: value.detach() for name, value in terms.items()})
        terms = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return as_evaluation(u, terms), torch.cat(gradients).numpy()

    @single_precision
    def percept(self, batch: ImageBatch, u: np.ndarray) -> AbstractPercept:
        """What is perceived of the first image, without its views, at N settings u (N, P)."""
        row = torch.zeros(len(u), dtype=torch.int64, device=batch.images.device)
        theta = self.perceiver.table.from_unit(torch.as_tensor(u, device=row.device))
        with torch.no_grad():
            return self.perceiver(batch.images[0, row], theta, None if batch.cues is None else batch.cues[row])
