"""From settings to loss terms: a whole population of settings, over one image or many, in one batch of the cortex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex import Cortex, Cues, Percept, from_unit
from ciliary.cortex.parameters import repeat_theta
from ciliary.envs.objective.reference import Reference, make_reference
from ciliary.envs.objective.terms import Objective, pooled_size
from ciliary.envs.objective.views import Views, WayBack, apply_views, way_back

#: Pixels per forward pass: twenty images of 192 x 128. More falls out of the processor's cache: at 384 x 256 a
#: candidate took 0.80 s in passes of twenty images and 0.63 s in passes of five.
MAX_PIXELS = 500_000


@dataclass(frozen=True)
class Looks:
    """E images ready to be judged: each with its views and all that depends on the image alone. ``looks[i]`` is one."""

    images: Tensor  # (E, 1+V, 3, H, W) the image, its photometric, then its geometric views
    cues: Cues  # of the E * (1+V) images, row by row
    back: WayBack  # of the E * G geometric views, row by row
    reference: Reference  # of the E images
    n_photometric: int
    panel: Any = None  # of the E images: what the objective compares percepts with, if it asks for that

    def __len__(self) -> int:
        return self.images.shape[0]

    @property
    def n_views(self) -> int:
        """V, without the image itself."""
        return self.images.shape[1] - 1

    @property
    def n_geometric(self) -> int:
        """G, the views that must be brought back."""
        return self.n_views - self.n_photometric

    def __getitem__(self, index: int | Tensor | slice) -> Looks:
        rows = torch.arange(len(self))[index].reshape(-1)
        return Looks(
            images=self.images[rows],
            cues=self.cues[_rows_of(rows, 1 + self.n_views)],
            back=self.back[_rows_of(rows, self.n_geometric)],
            reference=self.reference[rows],
            n_photometric=self.n_photometric,
            panel=None if self.panel is None else self.panel[rows],
        )


@dataclass(frozen=True)
class Evaluation:
    """What N settings are worth: ``terms`` holds (N,) arrays, ``total`` among them (lower is better)."""

    u: np.ndarray  # (N, P)
    terms: dict[str, np.ndarray]
    percepts: Percept | None = None  # of the N undisturbed images (no views), when asked for

    def __len__(self) -> int:
        return len(self.u)

    def row(self, i: int) -> dict[str, float]:
        """The terms of one setting."""
        return {name: float(values[i]) for name, values in self.terms.items()}


def images_per_pass(height: int, width: int) -> int:
    """How many images of that size go through the cortex at once, by :data:`MAX_PIXELS`; at least one."""
    return max(1, MAX_PIXELS // (height * width))


def pairs_per_pass(looks: Looks, max_images: int) -> int:
    """How many pairs of a look and a setting go through the cortex at once, each with its views; at least one."""
    n_images = min(max_images, images_per_pass(looks.images.shape[-2], looks.images.shape[-1]))
    return max(1, n_images // (1 + looks.n_views))


def make_looks(cortex: Cortex, objective: Objective, images: Tensor, views: Sequence[Views]) -> Looks:
    """Look at E images: their views, cues and references, computed once.

    Args:
        cortex: gives the cues.
        objective: says at which resolution masks are judged.
        images: (E, 3, H, W) in [0, 1].
        views: E views, one per image, with equal numbers of photometric and of geometric ones.

    Raises:
        ValueError: if images and views do not fit together.
    """
    if images.ndim != 4 or len(images) != len(views) or len(images) == 0:
        raise ValueError(f"expected images (E, 3, H, W) and E views, got {tuple(images.shape)} and {len(views)} views")
    counts = {(v.n_photometric, v.n_geometric) for v in views}
    if len(counts) > 1:
        raise ValueError(
            f"all views of a batch need equal numbers of (photometric, geometric) views, got {sorted(counts)}"
        )
    height, width = images.shape[-2:]
    size = pooled_size(height, width, stride=objective.settings.stride)
    with torch.no_grad():
        stack = torch.stack(
            [torch.cat([x[None], apply_views(x[None], v)[:, 0]]) for x, v in zip(images, views, strict=True)]
        )
        cues = cortex.cues(stack.flatten(0, 1))
        own_cues = cues[torch.arange(0, len(images) * stack.shape[1], stack.shape[1])]
        reference = make_reference(images, size=size)
        return Looks(
            images=stack,
            cues=cues,
            back=_cat([way_back(v, size=size, image_size=(height, width))[v.n_photometric :] for v in views]),
            reference=reference,
            n_photometric=views[0].n_photometric,
            panel=objective.make_panel(cortex, images, own_cues, reference),
        )


def stack_looks(looks: Sequence[Looks]) -> Looks:
    """Several looks as one. All images must have one size.

    Raises:
        ValueError: if sizes or numbers of views differ.
    """
    shapes = {(tuple(x.images.shape[1:]), x.n_photometric) for x in looks}
    if len(shapes) != 1:
        raise ValueError(
            f"expected looks of one image size and one number of views, got {sorted(shapes)}; "
            "evaluate each size by itself, or resize the images to one size"
        )
    return Looks(
        images=torch.cat([x.images for x in looks]),
        cues=_cat([x.cues for x in looks]),
        back=_cat([x.back for x in looks]),
        reference=Reference.cat([x.reference for x in looks]),
        n_photometric=looks[0].n_photometric,
        panel=_cat([x.panel for x in looks]),
    )


def evaluate_pairs(
    cortex: Cortex,
    objective: Objective,
    looks: Looks,
    index: Tensor,
    u: Tensor,
    *,
    max_images: int = 20,
    with_percepts: bool = False,
    with_kl: bool = False,
) -> tuple[dict[str, Tensor], Percept | None]:
    """Judge M pairs of a look and a setting in one batch.

    Args:
        cortex: the cortex.
        objective: the objective ``looks`` were made for.
        looks: E looks.
        index: (M,) int64, which look each setting goes to.
        u: (M, P) settings in [-1, 1].
        max_images: images per forward pass, fewer if they are large (see ``MAX_PIXELS``); each pair has 1+V. Bounds
            memory, does not change the result.
        with_percepts: return the percepts of the M images too.
        with_kl: add ``symmetric_kl`` for the log; slow.

    Returns:
        The terms, each (M,), differentiable in ``u`` under gradient mode; and the percept of the M images or None.

    Raises:
        ValueError: if index and u do not have the same length, or an index is out of range.
    """
    if u.ndim != 2 or index.shape != u.shape[:1] or len(u) == 0:
        raise ValueError(f"expected index (M,) and u (M, P) with M > 0, got {tuple(index.shape)} and {tuple(u.shape)}")
    if int(index.min()) < 0 or int(index.max()) >= len(looks):
        raise ValueError(f"expected indices in 0..{len(looks) - 1}, got {index.tolist()}")
    n_rows = 1 + looks.n_views
    parts: list[dict[str, Tensor]] = []
    percepts: list[Percept] = []
    n_at_once = pairs_per_pass(looks, max_images)
    for rows, setting in zip(*(x.split(n_at_once) for x in (index, u)), strict=True):
        theta = repeat_theta(from_unit(setting), n_rows)
        percept = cortex(looks.images[rows].flatten(0, 1), theta, looks.cues[_rows_of(rows, n_rows)])
        back = looks.back[_rows_of(rows, looks.n_geometric)] if looks.n_geometric else None
        parts.append(
            objective(
                percept,
                looks.reference[rows],
                back,
                n_views=looks.n_views,
                n_photometric=looks.n_photometric,
                with_kl=with_kl,
                u=setting,
                panel=None if looks.panel is None else looks.panel[rows],
            )
        )
        if with_percepts:
            percepts.append(percept[torch.arange(0, len(rows) * n_rows, n_rows)])
    terms = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return terms, _cat(percepts) if percepts else None


class Evaluator:
    """The question put to one image: how good is each of these settings? Views and cues are computed once."""

    def __init__(self, cortex: Cortex, objective: Objective, views: Views, image: Tensor, *, max_images: int = 20):
        """Take a look at ``image`` (3, H, W) or (1, 3, H, W) in [0, 1] through ``views``."""
        self.cortex, self.objective, self.max_images = cortex, objective, max_images
        self.look = make_looks(cortex, objective, image[None] if image.ndim == 3 else image, [views])

    def evaluate(self, u: np.ndarray | Tensor, *, with_percepts: bool = False, with_kl: bool = False) -> Evaluation:
        """Terms of N settings (N, P), no gradient. Non-finite values are passed on as they are."""
        with torch.no_grad():
            terms, percepts = self._judge(u, with_percepts=with_percepts, with_kl=with_kl)
        return as_evaluation(u, terms, percepts)

    def loss(self, u: Tensor) -> Tensor:
        """Total of N settings (N, P): (N,), differentiable in ``u``."""
        return self._judge(u)[0]["total"]

    def _judge(self, u: np.ndarray | Tensor, **wanted: bool) -> tuple[dict[str, Tensor], Percept | None]:
        settings = torch.as_tensor(u, dtype=torch.float32)
        index = torch.zeros(len(settings), dtype=torch.int64)
        return evaluate_pairs(
            self.cortex, self.objective, self.look, index, settings, max_images=self.max_images, **wanted
        )


def as_evaluation(u: np.ndarray | Tensor, terms: dict[str, Tensor], percepts: Percept | None = None) -> Evaluation:
    """Terms of :func:`evaluate_pairs` as an :class:`Evaluation`: float64 arrays, settings copied."""
    arrays = {name: values.detach().double().numpy() for name, values in terms.items()}
    settings = u.detach().numpy() if isinstance(u, Tensor) else u
    return Evaluation(np.array(settings, dtype=np.float64), arrays, percepts)


def _rows_of(index: Tensor, n: int) -> Tensor:
    """The n consecutive rows of each index."""
    return (index[:, None] * n + torch.arange(n)).reshape(-1)


def _cat(parts: Sequence[Any]) -> Any:
    """Dataclasses of tensors (nested), joined along the batch; what is no tensor (sizes, None) is the same in all."""
    first = parts[0]
    if first is None or len(parts) == 1:
        return first
    if is_dataclass(first) and not isinstance(first, type):
        return replace(first, **{f.name: _cat([getattr(x, f.name) for x in parts]) for f in fields(first)})
    return torch.cat(list(parts)) if isinstance(first, Tensor) else first
