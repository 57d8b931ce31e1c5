"""From settings to loss terms: a population of settings, over one image or many, in one batch of the perceiver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.device import device_of, to_device
from ciliary.cortex.integration.looks import Looks
from ciliary.cortex.perceiver import AbstractPercept, Perceiver
from ciliary.cortex.table import repeat_theta
from ciliary.envs.objective.reference import Reference, make_reference
from ciliary.envs.objective.terms import Objective, pooled_size
from ciliary.envs.objective.views import Views, WayBack, apply_views, way_back
from ciliary.envs.objective.worst_case import worst_views

#: Pixels per forward pass: twenty images of 192 x 128. More falls out of the processor's cache: at 384 x 256 a
#: candidate took 0.80 s in passes of twenty images and 0.63 s in passes of five.
MAX_PIXELS = 500_000


@dataclass(frozen=True)
class ImageBatch:
    """E images ready to be judged: each with its views and all that depends on the image alone. ``batch[i]`` is one."""

    images: Tensor  # (E, 1+V, 3, H, W) the image, its photometric, then its geometric views
    cues: Any  # of the E * (1+V) images, row by row: the perceiver's own, or None
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

    def __getitem__(self, index: int | Tensor | slice) -> ImageBatch:
        rows = torch.arange(len(self), device=self.images.device)[index].reshape(-1)
        return ImageBatch(
            images=self.images[rows],
            cues=take_cues(self.cues, _rows_of(rows, 1 + self.n_views)),
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
    percepts: AbstractPercept | None = None  # of the N undisturbed images (no views), when asked for
    looks: Looks | None = None  # the same as N looks at one scene, (1, N, H, W), when asked for

    def __len__(self) -> int:
        return len(self.u)

    def row(self, i: int) -> dict[str, float]:
        """The terms of one setting."""
        return {name: float(values[i]) for name, values in self.terms.items()}


def images_per_pass(height: int, width: int) -> int:
    """How many images of that size are perceived at once, by :data:`MAX_PIXELS`; at least one."""
    return max(1, MAX_PIXELS // (height * width))


def pairs_per_pass(batch: ImageBatch, max_images: int) -> int:
    """How many pairs of an image and a setting are perceived at once, each with its views; at least one."""
    n_images = min(max_images, images_per_pass(batch.images.shape[-2], batch.images.shape[-1]))
    return max(1, n_images // (1 + batch.n_views))


def make_batch(perceiver: Perceiver, objective: Objective, images: Tensor, views: Sequence[Views]) -> ImageBatch:
    """Look at E images: their views, cues and references, computed once.

    Args:
        perceiver: gives the cues.
        objective: says at which resolution masks are judged.
        images: (E, 3, H, W) in [0, 1], on any device; the batch lies where the perceiver does.
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
    images = images.to(device_of(perceiver))
    height, width = images.shape[-2:]
    size = pooled_size(height, width, stride=objective.settings.stride)
    with torch.no_grad():
        stack = torch.stack(
            [torch.cat([x[None], apply_views(x[None], v)[:, 0]]) for x, v in zip(images, views, strict=True)]
        )
        if n_worst := objective.settings.n_worst:
            if views[0].n_photometric < n_worst:
                raise ValueError("a worst case takes the place of a photometric view, got none; judge by more views")
            stack[:, 1] = worst_views(perceiver, images, seed=views[0].seed)
        cues = perceiver.cues(stack.flatten(0, 1))
        own_cues = take_cues(cues, torch.arange(0, len(images) * stack.shape[1], stack.shape[1], device=images.device))
        reference = make_reference(images, size=size)
        ways = [way_back(v, size=size, image_size=(height, width))[v.n_photometric :] for v in views]
        return ImageBatch(
            images=stack,
            cues=cues,
            back=to_device(_cat(ways), images.device),
            reference=reference,
            n_photometric=views[0].n_photometric,
            panel=objective.make_panel(perceiver, images, own_cues, reference),
        )


def stack_batches(batches: Sequence[ImageBatch]) -> ImageBatch:
    """Several batches as one. All images must have one size.

    Raises:
        ValueError: if sizes or numbers of views differ.
    """
    shapes = {(tuple(x.images.shape[1:]), x.n_photometric) for x in batches}
    if len(shapes) != 1:
        raise ValueError(
            f"expected images of one size and one number of views, got {sorted(shapes)}; "
            "evaluate each size by itself, or resize the images to one size"
        )
    return ImageBatch(
        images=torch.cat([x.images for x in batches]),
        cues=_cat([x.cues for x in batches]),
        back=_cat([x.back for x in batches]),
        reference=Reference.cat([x.reference for x in batches]),
        n_photometric=batches[0].n_photometric,
        panel=_cat([x.panel for x in batches]),
    )


def evaluate_pairs(
    perceiver: Perceiver,
    objective: Objective,
    batch: ImageBatch,
    index: Tensor,
    u: Tensor,
    *,
    max_images: int = 20,
    with_percepts: bool = False,
    with_kl: bool = False,
    on_percept: Callable[[AbstractPercept], None] | None = None,
) -> tuple[dict[str, Tensor], AbstractPercept | None]:
    """Judge M pairs of an image and a setting in one batch.

    Args:
        perceiver: perceives.
        objective: the objective ``batch`` was made for.
        batch: of E images.
        index: (M,) int64, which image each setting goes to.
        u: (M, P) settings in [-1, 1].
        max_images: images per forward pass, fewer if they are large (see ``MAX_PIXELS``); each pair has 1+V. Bounds
            memory, does not change the result.
        with_percepts: return the percepts of the M images too.
        with_kl: add ``symmetric_kl`` for the log; slow.
        on_percept: is shown the percepts of the images, pass by pass; nothing else keeps them.

    Returns:
        The terms, each (M,), on the device of ``u`` and differentiable in it under gradient mode; and the percept of
        the M images, on the batch's device, or None.

    Raises:
        ValueError: if index and u do not have the same length, or an index is out of range.
    """
    if u.ndim != 2 or index.shape != u.shape[:1] or len(u) == 0:
        raise ValueError(f"expected index (M,) and u (M, P) with M > 0, got {tuple(index.shape)} and {tuple(u.shape)}")
    if int(index.min()) < 0 or int(index.max()) >= len(batch):
        raise ValueError(f"expected indices in 0..{len(batch) - 1}, got {index.tolist()}")
    n_rows = 1 + batch.n_views
    asked_on, device = u.device, batch.images.device
    index, u = index.to(device), u.to(device)
    parts: list[dict[str, Tensor]] = []
    percepts: list[AbstractPercept] = []
    n_at_once = pairs_per_pass(batch, max_images)
    for rows, setting in zip(*(x.split(n_at_once) for x in (index, u)), strict=True):
        theta = repeat_theta(perceiver.table.from_unit(setting), n_rows)
        percept = perceiver(batch.images[rows].flatten(0, 1), theta, take_cues(batch.cues, _rows_of(rows, n_rows)))
        back = batch.back[_rows_of(rows, batch.n_geometric)] if batch.n_geometric else None
        parts.append(
            objective(
                percept,
                batch.reference[rows],
                back,
                n_views=batch.n_views,
                n_photometric=batch.n_photometric,
                with_kl=with_kl,
                u=setting,
                panel=None if batch.panel is None else batch.panel[rows],
                images=batch.images[rows, 0],
            )
        )
        if with_percepts or on_percept is not None:
            own = percept[torch.arange(0, len(rows) * n_rows, n_rows, device=device)]
            if with_percepts:
                percepts.append(own)
            if on_percept is not None:
                on_percept(own)
    terms = {name: torch.cat([part[name] for part in parts]).to(asked_on) for name in parts[0]}
    return terms, _cat(percepts) if percepts else None


def as_evaluation(
    u: np.ndarray | Tensor,
    terms: dict[str, Tensor],
    percepts: AbstractPercept | None = None,
    looks: Looks | None = None,
) -> Evaluation:
    """Terms of :func:`evaluate_pairs` as an :class:`Evaluation`: float64 arrays, settings copied."""
    arrays = {name: values.detach().cpu().double().numpy() for name, values in terms.items()}
    settings = u.detach().cpu().numpy() if isinstance(u, Tensor) else u
    return Evaluation(np.array(settings, dtype=np.float64), arrays, percepts, looks)


def take_cues(cues: Any, rows: Tensor) -> Any:
    """Cues of some images; None of a perceiver that has none."""
    return None if cues is None else cues[rows]


def _rows_of(index: Tensor, n: int) -> Tensor:
    """The n consecutive rows of each index."""
    return (index[:, None] * n + torch.arange(n, device=index.device)).reshape(-1)


def _cat(parts: Sequence[Any]) -> Any:
    """Dataclasses and tuples of tensors (nested), joined along the batch; the rest (sizes, None) is the same in all."""
    first = parts[0]
    if first is None or len(parts) == 1:
        return first
    if is_dataclass(first) and not isinstance(first, type):
        return replace(first, **{f.name: _cat([getattr(x, f.name) for x in parts]) for f in fields(first)})
    if isinstance(first, tuple):
        return tuple(_cat(same) for same in zip(*parts, strict=True))
    return torch.cat(_widened(parts)) if isinstance(first, Tensor) else first


def _widened(parts: Sequence[Tensor]) -> list[Tensor]:
    """Tensors (B, N, ...) of different N with zeros up to the largest: atoms of size 0, where pictures have fewer."""
    n_most = max(x.shape[1] if x.ndim > 1 else 0 for x in parts)
    return [x if x.ndim < 2 or x.shape[1] == n_most else _padded(x, n_most) for x in parts]


def _padded(x: Tensor, n: int) -> Tensor:
    return torch.cat([x, x.new_zeros(x.shape[0], n - x.shape[1], *x.shape[2:])], 1)
