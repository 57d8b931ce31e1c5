"""What a percept is judged by, without any label. Every term is to be minimised and lies in about [0, 1].

Stability and consistency alone are both perfect for a blank percept, so they stand beside a term that asks how much
of the image the percept explains and one that asks at what cost. What the percept is compared with (fixed colour and
texture of the input image, and what a blind grid would explain of it) depends on the image alone: theta cannot
shrink it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.ops.gini import gini
from ciliary.cortex.perceiver import AbstractPercept, Perceiver, needs
from ciliary.envs.objective.agreement import matched_symmetric_kl, sharpen, soft_adjusted_rand
from ciliary.envs.objective.recognition import RECOGNITION_TERMS, recognition_terms
from ciliary.envs.objective.reference import Reference
from ciliary.envs.objective.views import WayBack
from ciliary.envs.objective.worst_case import texture_loss

#: Equal segments at which economy is spent; as many as the cortex has slots.
MANY_SEGMENTS = 32

TERMS: tuple[str, ...] = ("stability", "consistency", "collapse", "economy")
#: Asked of views besides, where they have a weight: :mod:`ciliary.envs.objective.worst_case`.
VIEW_TERMS: tuple[str, ...] = ("worst_case", "texture")


@dataclass(frozen=True)
class ObjectiveSettings:
    """Weights of the terms (their sum is 1 by default, so that the total is in about [0, 1]) and how masks are read.

    The default weights and ``min_segments`` were chosen by hand among a dozen on 40 BSDS500 training photographs at
    192 px, 24 settings of the cortex each: within an image the total then ranks settings like region covering does
    with Spearman 0.55 (stability alone 0.40, consistency alone 0.45, collapse alone 0.45), on the images they were
    chosen on, around earlier defaults of the cortex.
    """

    stability: float = 0.2
    consistency: float = 0.2
    collapse: float = 0.4
    economy: float = 0.2
    # masks are averaged over stride x stride pixels first: 4 times cheaper, and boundaries keep their place
    stride: int = 2
    sharpness: float = 4.0  # power the masks are raised to: judge the decision, not the confidence it is made with
    min_segments: float = 4.0  # effective segments under which a percept is taken as less and less active
    # terms of :mod:`ciliary.envs.objective.recognition`, for a cortex that recognises; not measured without a weight
    code_stability: float = 0.0
    completion: float = 0.0
    gate_entropy: float = 0.0
    # terms of :mod:`ciliary.envs.objective.worst_case`; the first photometric view is then a worst one
    worst_case: float = 0.0
    texture: float = 0.0

    def __post_init__(self) -> None:
        weights = {name: getattr(self, name) for name in (*TERMS, *RECOGNITION_TERMS, *VIEW_TERMS)}
        if min(weights.values()) < 0 or sum(weights.values()) <= 0:
            raise ValueError(f"expected weights >= 0 with a positive sum, got {weights}")
        if self.stride < 1 or self.sharpness < 1 or self.min_segments <= 1:
            raise ValueError(
                f"expected stride >= 1, sharpness >= 1 and min_segments > 1, "
                f"got {self.stride}, {self.sharpness} and {self.min_segments}"
            )

    @property
    def recognition(self) -> tuple[str, ...]:
        """The terms of recognition that have a weight."""
        return tuple(name for name in RECOGNITION_TERMS if getattr(self, name) > 0)

    @property
    def n_worst(self) -> int:
        """How many of the photometric views are worst ones."""
        return int(self.worst_case > 0)


def pooled_size(height: int, width: int, *, stride: int) -> tuple[int, int]:
    """Size at which masks are judged."""
    return max(1, height // stride), max(1, width // stride)


def view_agreement(
    masks: Tensor, back: WayBack | None, *, n_photometric: int, n_worst: int = 0, with_kl: bool = False
) -> dict[str, Tensor]:
    """Losses of agreement between the percept of an image and those of its views.

    Args:
        masks: (N, 1+V, S, h, w) partitions; the image itself first, then photometric, then geometric views.
        back: the way back of the N * G geometric views, row by row; None without geometric views.
        n_photometric: how many of the views are photometric.
        n_worst: how many of these, the first, are worst ones: judged apart, as ``worst_case``.
        with_kl: add ``symmetric_kl`` (nats per pixel, for the log only; slow).

    Returns:
        ``stability``, ``consistency`` and ``worst_case``, each (N,): 1 - mean adjusted Rand index over its views. A
        term without any view was not measured and is left out.
    """
    n = masks.shape[0]
    n_geometric = masks.shape[1] - 1 - n_photometric
    worst, same_place = masks[:, 1 : 1 + n_worst], masks[:, 1 + n_worst : 1 + n_photometric]
    out: dict[str, Tensor] = {}
    pairs: list[tuple[Tensor, Tensor, Tensor | None, int]] = []
    for name, seen in (("stability", same_place), ("worst_case", worst)):
        if n_seen := seen.shape[1]:
            pairs.append((_repeat(masks[:, 0], n_seen), seen.flatten(0, 1), None, n_seen))
            out[name] = _mean_loss(*pairs[-1])
    if n_geometric:
        if back is None:
            raise ValueError(
                f"got {n_geometric} geometric views and no way back; "
                "build it with ciliary.envs.objective.views.way_back"
            )
        restored = back(masks[:, 1 + n_photometric :].flatten(0, 1))
        pairs.append((_repeat(masks[:, 0], n_geometric), restored, back.valid, n_geometric))
        out["consistency"] = _mean_loss(*pairs[-1])
    if with_kl and pairs:
        values = [matched_symmetric_kl(p, q, valid).view(n, k) for p, q, valid, k in pairs]
        out["symmetric_kl"] = torch.cat(values, 1).mean(1)
    return out


def effective_segments(masks: Tensor) -> Tensor:
    """Perplexity of the shares of area: (N, S, h, w) to (N,) in [1, S]. Small segments count little."""
    share = masks.mean((2, 3))
    return torch.exp(-torch.special.xlogy(share, share.clamp_min(1e-12)).sum(1))


def collapse_loss(masks: Tensor, reference: Reference) -> Tensor:
    """How much of the image the percept leaves unexplained, beside a blind grid of as many segments: (N,) in [0, 1].

    tanh of (1 - R2) / (1 - R2 of the grid), where R2 is the share of the variance of the image's fixed features that
    lies between segments. A percept that explains no more than a grid of equally many cells scores tanh 1 = 0.76
    (one region too), a random map nearly 1, a percept that explains everything 0. Dividing by the grid is the
    correction for the number of segments: shattering gains nothing by itself (in the spirit of the gap statistic,
    Tibshirani, Walther & Hastie 2001). A soft map is charged for its softness: a uniform one explains nothing.

    (N,) in [0, 1], of masks (N, S, h, w) and the reference of the N images at the same (h, w).
    """
    unexplained = 1 - reference.explained(masks)
    unexplained_by_grid = 1 - reference.explained_by_grid(effective_segments(masks))
    return torch.tanh(unexplained / unexplained_by_grid.clamp_min(1e-3))


def economy_loss(masks: Tensor, energy: Tensor | None, *, min_segments: float, energy_stride: int = 8) -> Tensor:
    """What the percept costs: three quarters for the effective number of segments, one for dense activity in V1.

    Segments: log k / log S (1 for S equal segments; for a perceiver without energy, whose number of masks may differ
    from batch to batch, S is :data:`MANY_SEGMENTS`), and below ``min_segments`` a floor term that reaches 1 at one
    single region: doing nothing is not economy. Activity: 1 - Gini of the V1 energy over all its units; blank energy
    has Gini 0 and so costs most, and the scale of the energy does not matter.

    Args:
        masks: (N, S, h, w) partition.
        energy: (N, C, H, W) >= 0; every ``energy_stride``-th unit along each image axis is read. None, of a perceiver
            without: the segments alone are the cost.
        min_segments: effective segments at which the floor begins.
        energy_stride: in pixels.

    Returns:
        (N,) in [0, 1].
    """
    log_k = torch.log(effective_segments(masks))
    floor = torch.relu(1 - log_k / math.log(min_segments))
    n_most = MANY_SEGMENTS if energy is None else max(2, masks.shape[1])
    segments = (log_k / math.log(n_most) + floor).clamp(0, 1)
    if energy is None:
        return segments
    activity = 1 - gini(energy[..., ::energy_stride, ::energy_stride].flatten(1))
    return 0.75 * segments + 0.25 * activity


def coarse_masks(percept: AbstractPercept, settings: ObjectiveSettings) -> Tensor:
    """The masks as they are judged: (B, S, h, w), averaged over ``stride`` x ``stride`` pixels and sharpened."""
    if settings.stride == 2:
        masks = percept.masks_coarse
    else:
        height, width = percept.masks.shape[-2:]
        masks = F.adaptive_avg_pool2d(percept.masks, pooled_size(height, width, stride=settings.stride))
    return sharpen(masks, power=settings.sharpness)


def energy_of(percept: AbstractPercept) -> Tensor | None:
    """Activity of the units that see (B, C, H, W), of percepts that have it."""
    energy: Tensor | None = getattr(percept, "energy", None)
    return energy


class Objective:
    """All terms of a population of percepts, weighted into one total.

    Attributes:
        name: ``raw``, or of the terms besides that have a weight.
        n_views: views it judges by unless told otherwise.
        starts: (M, P) settings that a search had better try first, or None.
        min_gain: gain in the total below which a setting is not worth changing to.
    """

    name: str = "raw"
    n_views: int = 4
    starts: np.ndarray | None = None
    min_gain: float = 0.0

    def __init__(self, settings: ObjectiveSettings | None = None):
        self.settings = ObjectiveSettings() if settings is None else settings
        if self.name == Objective.name:
            own = [name for name in VIEW_TERMS if getattr(self.settings, name) > 0]
            self.name = "recognition" if self.settings.recognition else own[0] if own else self.name

    @property
    def recognises(self) -> bool:
        """Whether it asks for a cortex that recognises."""
        return bool(self.settings.recognition)

    def check(self, perceiver: Perceiver) -> None:
        """Raise ``ValueError`` unless the objective can judge this perceiver's percepts.

        Terms that need what it does not answer are left out where a total can be had without them (V1's activity in
        the economy), and refused where they have a weight of their own (recognition).
        """
        if self.recognises:
            weighed = ", ".join(self.settings.recognition)
            needs(perceiver, "recognition", f"an objective that weighs {weighed}")
        if self.settings.n_worst:
            needs(perceiver, "gradient", "an objective that weighs worst_case")
        if self.settings.texture > 0:
            needs(perceiver, "energy", "an objective that weighs texture")

    def make_panel(self, perceiver: Perceiver, images: Tensor, cues: Any, reference: Reference) -> Any:
        """What percepts of E images (E, 3, H, W) are compared with beside their views; None for nothing.

        ``panel[rows]`` are those of some images; a dataclass of tensors with a leading E, so that panels can be joined.
        """
        del perceiver, images, cues, reference
        return None

    def starts_on(self, panel: Any) -> np.ndarray | None:
        """Settings (M, P) that a search had better try first on the image of a panel of one, or None."""
        del panel
        return self.starts

    def __call__(
        self,
        percept: AbstractPercept,
        reference: Reference,
        back: WayBack | None,
        *,
        n_views: int,
        n_photometric: int,
        with_kl: bool = False,
        u: Tensor | None = None,
        panel: Any = None,
        images: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Judge N settings.

        Args:
            percept: of N * (1+V) images, row by row: an image, its photometric, then its geometric views.
            reference: of the N images, at :func:`pooled_size`.
            back: the way back of the N * G geometric views at :func:`pooled_size`; None without geometric views.
            n_views: V.
            n_photometric: how many of the V views are photometric.
            with_kl: add ``symmetric_kl`` (of the sharpened masks) for the log; slow.
            u: (N, P) the settings.
            panel: of the N images, from :meth:`make_panel`.
            images: the N images (N, 3, H, W) without their views, for objectives that look at them.

        Returns:
            One (N,) tensor for each of :data:`TERMS` (without views, those about views were not measured and are left
            out) and for each of :data:`~ciliary.envs.objective.recognition.RECOGNITION_TERMS` that has a weight,
            ``total`` (their weighted sum; lower is better), and for the log ``n_segments`` (effective number).
            Non-finite values are passed on as they are.

        Raises:
            ValueError: a term of recognition has a weight, and the percepts are of a cortex that does not recognise.
        """
        del images
        s = self.settings
        masks = coarse_masks(percept, s).unflatten(0, (-1, 1 + n_views))
        own = masks[:, 0]
        terms = view_agreement(masks, back, n_photometric=n_photometric, n_worst=s.n_worst, with_kl=with_kl)
        energy = energy_of(percept)
        if s.texture > 0 and energy is not None:
            terms["texture"] = texture_loss(energy.unflatten(0, (-1, 1 + n_views)), back, n_photometric=n_photometric)
        terms |= self.own_terms(own, None if energy is None else energy[:: 1 + n_views], reference)
        if self.recognises:
            terms |= recognition_terms(
                s.recognition, getattr(percept, "m5", None), masks, back, n_photometric=n_photometric
            )
        asked = (*TERMS, *VIEW_TERMS, *s.recognition)
        terms["total"] = torch.stack([getattr(s, name) * terms[name] for name in asked if name in terms]).sum(0)
        return self.judge(terms, own, reference, u, panel)

    def own_terms(self, masks: Tensor, energy: Tensor | None, reference: Reference) -> dict[str, Tensor]:
        """The terms that take no views, and ``n_segments``: of N sharpened masks and the V1 energy they came with."""
        return {
            "collapse": collapse_loss(masks, reference),
            "economy": economy_loss(masks, energy, min_segments=self.settings.min_segments),
            "n_segments": effective_segments(masks),
        }

    def judge(
        self, terms: dict[str, Tensor], masks: Tensor, reference: Reference, u: Tensor | None, panel: Any
    ) -> dict[str, Tensor]:
        """The last word on the terms of N percepts, given also their sharpened masks (N, S, h, w)."""
        del masks, reference, u, panel
        return terms


def _repeat(masks: Tensor, n: int) -> Tensor:
    return masks[:, None].expand(-1, n, -1, -1, -1).flatten(0, 1)


def _mean_loss(p: Tensor, q: Tensor, valid: Tensor | None, n_views: int) -> Tensor:
    return 1 - soft_adjusted_rand(p, q, valid).view(-1, n_views).mean(1)
