"""A pool of cases to learn from: photographs under disturbances, looked at once, judged in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ciliary.agents.training.cases import fixed_cases
from ciliary.envs.batch import ImageBatch, stack_batches
from ciliary.envs.data.reading import Photograph
from ciliary.envs.episode import DisturbanceSpec
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.observation import Observer

Observations = dict[str, Tensor]
"""The environment's observation of N cases: ``image``, ``statistics``, ``terms``, ``u``."""


class World(Protocol):
    """What a policy learns from: C cases whose loss is differentiable in the setting."""

    @property
    def default_u(self) -> np.ndarray:
        """(P,) where every case starts."""
        ...

    def __len__(self) -> int:
        """C."""
        ...

    def bases(self, rows: Tensor) -> Tensor:
        """(N, P) the setting that the first proposal for each of the cases ``rows`` (N,) departs from."""
        ...

    def judge(self, rows: Tensor, u: Tensor) -> tuple[Tensor, Observations]:
        """Totals (N,) of settings u (N, P) on the cases ``rows`` (N,), differentiable in u; and what is seen there."""
        ...


@dataclass(eq=False)
class Pool:
    """Cases of one size in memory: some 1 MB each at 96 x 128 px with four views, 2 MB with the calibrated panel.

    Attributes:
        evaluator: perceiver and objective.
        batch: of the C cases.
        names: C texts, image and disturbance.
        default_u: (P,) where every case starts.
    """

    evaluator: Evaluator
    batch: ImageBatch
    names: tuple[str, ...]
    default_u: np.ndarray

    def __len__(self) -> int:
        return len(self.batch)

    @cached_property
    def _bases(self) -> Tensor:
        objective, panel = self.evaluator.objective, self.batch.panel
        starts = [objective.starts_on(None if panel is None else panel[i : i + 1]) for i in range(len(self))]
        return torch.as_tensor(np.stack([self.default_u if some is None else some[0] for some in starts]))

    def bases(self, rows: Tensor) -> Tensor:
        """The first of the settings that the objective recommends for the image, or the defaults."""
        return self._bases[rows]

    def judge(self, rows: Tensor, u: Tensor) -> tuple[Tensor, Observations]:
        """See :meth:`World.judge`; observations carry no gradient."""
        terms, percept = self.evaluator.judge(self.batch, rows, u, with_percepts=True)
        assert percept is not None
        images = self.batch.images[rows, 0]
        arrays = {name: value.detach().double().numpy() for name, value in terms.items()}
        seen = Observer(self.evaluator.perceiver).observe(images, percept, arrays, u.detach().numpy().copy())
        obs = {name: torch.from_numpy(values) for name, values in seen.items()}
        return terms["total"], obs


def make_pools(
    evaluator: Evaluator,
    photographs: Sequence[Photograph],
    default_u: np.ndarray,
    *,
    n_cases: int,
    size_px: int,
    disturbances: Sequence[DisturbanceSpec],
    seed: int = 0,
    on_case: Callable[[], None] = lambda: None,
) -> list[Pool]:
    """Photographs under disturbances, each looked at once through views of its own.

    Args:
        evaluator: perceiver and objective.
        photographs: to choose from.
        default_u: (P,).
        n_cases: in all, >= 1.
        size_px: long side; the short side is 3/4 of it, and what stands out is cropped.
        disturbances: specs; None is clean; a kind without severity draws one of 1 to 5.
        seed: of disturbances and views.
        on_case: called after each case, for progress bars.

    Returns:
        one pool of lying and one of standing photographs; only those that have any.
    """
    short_px = size_px * 3 // 4
    lying = [p for p in photographs if p.image.shape[-2] <= p.image.shape[-1]]
    standing = [p for p in photographs if p.image.shape[-2] > p.image.shape[-1]]
    pools = []
    for some, shape_px in ((lying, (short_px, size_px)), (standing, (size_px, short_px))):
        n = round(n_cases * len(some) / len(photographs))
        if n == 0:
            continue
        cases = fixed_cases(some, n, shape_px=shape_px, disturbances=disturbances, seed=seed)
        batches = []
        for i, case in enumerate(cases):
            views_seed = int(np.random.SeedSequence([seed, i]).generate_state(1)[0])
            batches.append(evaluator.look(case.image[None], [views_seed]))
            on_case()
        pools.append(Pool(evaluator, stack_batches(batches), tuple(case.name for case in cases), default_u))
    return pools
