"""Cases to learn from: photographs under disturbances, and pools of them, looked at once and judged in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.batch import ImageBatch, stack_batches
from ciliary.envs.data.disturbances import MIXED_V0
from ciliary.envs.data.reading import Photograph
from ciliary.envs.episode import DisturbanceSpec, draw_episode
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.observation import Observer

Observations = dict[str, Tensor]
"""The environment's observation of N cases: ``image``, ``statistics``, ``terms``, ``u``."""


class Cases(Protocol):
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
        """See :meth:`Cases.judge`; observations carry no gradient."""
        terms, percept = self.evaluator.judge(self.batch, rows, u, with_percepts=True)
        assert percept is not None
        images = self.batch.images[rows, 0]
        arrays = {name: value.detach().cpu().double().numpy() for name, value in terms.items()}
        seen = Observer(self.evaluator.perceiver).observe(images, percept, arrays, u.detach().cpu().numpy().copy())
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


def columns_of(perceiver: Perceiver) -> dict[str, list[str]]:
    """What a policy's file says of its columns: ``names`` of the settings, of the ``statistics``, of the ``terms``."""
    told = Observer(perceiver)
    return {"names": list(perceiver.table.names), "statistics": list(told.statistics), "terms": list(told.terms)}


def fixed_cases(
    photographs: Sequence[Photograph],
    n_cases: int,
    *,
    shape_px: tuple[int, int],
    disturbances: Sequence[DisturbanceSpec] = (None, *MIXED_V0),
    seed: int = 0,
) -> tuple[Photograph, ...]:
    """``n_cases`` photographs under a disturbance each, as photographs (3, H, W) of one shape; some 75 kB at 64 x 96.

    Photographs come in turn, and disturbances in an order of their own, so that each is equally frequent and every
    photograph meets every kind, given enough cases. A kind without a severity draws one of 1 to 5.

    Args:
        photographs: to choose from.
        n_cases: >= 1.
        shape_px: (height, width).
        disturbances: specs.
        seed: of severities and noise.

    Returns:
        cases named such as ``coffee/fog:3``; show them without a further disturbance.
    """
    if n_cases < 1:
        raise ValueError(f"expected n_cases >= 1, got {n_cases}")
    cases = []
    for k in range(n_cases):
        photograph = photographs[k % len(photographs)]
        spec = disturbances[(k + k // len(photographs)) % len(disturbances)]
        rng = np.random.default_rng([seed, k])
        episode = draw_episode(rng, [photograph], {"image": photograph, "disturbance": spec}, shape_px=shape_px)
        name = f"{photograph.name}/{episode.disturbance}"
        cases.append(Photograph(name, episode.image, photograph.original_size, photograph.path))
    return tuple(cases)


def split(photographs: Sequence[Photograph], hold_out: int) -> tuple[list[Photograph], list[Photograph]]:
    """Photographs to learn from, and every ``hold_out``-th to evaluate on.

    Raises:
        ValueError: fewer than two photographs.
    """
    if len(photographs) < 2:
        raise ValueError(f"expected at least 2 photographs, one of them to evaluate on, got {len(photographs)}")
    is_held_out = [(i + 1) % min(hold_out, len(photographs)) == 0 for i in range(len(photographs))]
    return (
        [photographs[i] for i in range(len(photographs)) if not is_held_out[i]],
        [photographs[i] for i in range(len(photographs)) if is_held_out[i]],
    )
