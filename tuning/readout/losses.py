"""What a readout is to make small: overlap and likelihood, of logits (B, K, H, W) and classes (B, H, W).

Overlaps are soft, on probabilities, and are counted over the batch, then averaged over the classes. A class that a
batch lacks costs what is wrongly given to it. Pixels of class -1 are nobody's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.envs.metrics.classes import UNLABELLED

SMOOTH = 1.0  # pixels: what keeps 0/0 away

Loss = Callable[[Tensor, Tensor, "Tensor | None"], Tensor]
"""Logits (B, K, H, W), classes (B, H, W) int64 and weights (K,) of the classes, or None, to a scalar."""


def tversky_loss(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, *, fp: float = 0.3, fn: float = 0.7,
    smooth: float = SMOOTH,
) -> Tensor:  # fmt: skip
    """1 - (TP + s) / (TP + fp FP + fn FN + s), mean over classes: with ``fn`` > ``fp`` what is missed costs more.

    Salehi, Erdogmus & Gholipour 2017, eq. 3, with their best 0.3 and 0.7.
    """
    hit, found, drawn = _overlaps(logits, target)
    ratio = (hit + smooth) / (hit + fp * (found - hit) + fn * (drawn - hit) + smooth)
    return _mean(1 - ratio, weight)


def dice_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None, *, smooth: float = SMOOTH) -> Tensor:
    """1 - (2 TP + s) / (sum p + sum g + s), mean over classes (Milletari, Navab & Ahmadi 2016, without squares)."""
    hit, found, drawn = _overlaps(logits, target)
    return _mean(1 - (2 * hit + smooth) / (found + drawn + smooth), weight)


def iou_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None, *, smooth: float = SMOOTH) -> Tensor:
    """1 - (TP + s) / (sum p + sum g - TP + s), mean over classes (Rahman & Wang 2016)."""
    return tversky_loss(logits, target, weight, fp=1.0, fn=1.0, smooth=smooth)


def focal_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None, *, gamma: float = 2.0) -> Tensor:
    """-(1 - p_t)^gamma log p_t, weighted mean over pixels; gamma 0 is the cross-entropy (Lin et al. 2017, eq. 4)."""
    is_known = target != UNLABELLED
    log_p = F.log_softmax(logits, 1).gather(1, target.clamp_min(0)[:, None])[:, 0]
    cost = -((1 - log_p.exp()).clamp_min(1e-7) ** gamma) * log_p if gamma else -log_p
    each = is_known.to(cost.dtype) if weight is None else weight[target.clamp_min(0)] * is_known
    return (cost * each).sum() / each.sum().clamp_min(1e-7)


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """-log p_t, weighted mean over pixels; 0 where none is labelled."""
    return focal_loss(logits, target, weight, gamma=0.0)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "dice": dice_loss,
    "iou": iou_loss,
    "tversky": tversky_loss,
    "focal": focal_loss,
    "ce": cross_entropy,
}
#: What the numbers behind a name are: ``tversky:0.3:0.7``, ``focal:2``.
_NUMBERS = {"tversky": ("fp", "fn"), "focal": ("gamma",)}
#: Pixels weigh by class where they are counted; overlaps are averaged over the classes, each as much as another.
_OF_PIXELS = ("focal", "ce")


def parse_loss(text: str) -> Loss:
    """``dice``, ``tversky:0.3:0.7``, ``focal:2``, or a sum of two, such as ``dice+ce``.

    Raises:
        ValueError: naming the losses there are.
    """
    names = text.split("+")
    if len(names) > 2:
        raise ValueError(f"expected one loss or the sum of two, such as dice+ce, got {text!r}")
    parts = [_parse_one(name.strip(), text) for name in names]

    def loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return torch.stack(
            [part(logits, target, weight if is_of_pixels else None) for part, is_of_pixels in parts]
        ).sum()

    return loss


def _parse_one(name: str, text: str) -> tuple[Callable[..., Tensor], bool]:
    kind, *numbers = name.split(":")
    known = _NUMBERS.get(kind, ())
    if kind not in LOSSES or len(numbers) not in (0, len(known)):
        shapes = [":".join([one, *(n.upper() for n in _NUMBERS.get(one, ()))]) for one in LOSSES]
        raise ValueError(f"unknown loss {text!r}; choose from {', '.join(shapes)}, or the sum of two with a +")
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = [-1.0]
    if any(value < 0 for value in values):
        raise ValueError(f"{name!r}: expected numbers >= 0 behind {kind}, got {numbers}")
    return partial(LOSSES[kind], **dict(zip(known, values, strict=False))), kind in _OF_PIXELS


def _overlaps(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(K,) of probabilities: in common with the drawn, all that was found, all that was drawn."""
    is_known = (target != UNLABELLED)[:, None]
    p = logits.softmax(1) * is_known
    g = F.one_hot(target.clamp_min(0), logits.shape[1]).movedim(-1, 1).to(p.dtype) * is_known
    return (p * g).sum((0, 2, 3)), p.sum((0, 2, 3)), g.sum((0, 2, 3))


def _mean(per_class: Tensor, weight: Tensor | None) -> Tensor:
    return per_class.mean() if weight is None else (per_class * weight).sum() / weight.sum()
