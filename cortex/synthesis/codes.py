"""What stages hold of an image, as codes and maps that gradients come back through; only as far as is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ciliary.cortex.floats import single_precision
from ciliary.cortex.model import Cortex
from ciliary.cortex.parameters import Theta, repeat_theta
from ciliary.cortex.percept import M1Out, M2Out, M3Out, M4Out, RetinaOut
from ciliary.cortex.stages.m5_recognition import mean_code
from ciliary.cortex.synthesis.metamers import Code
from ciliary.cortex.synthesis.texture import Maps


@single_precision
def answer_of(cortex: Cortex, stage: str, image: Tensor, theta: Theta) -> Any:
    """What one stage answers to images (B, 3, H, W); those after it are not asked.

    Args:
        cortex: any.
        stage: ``retina``, ``m1`` to ``m5``.
        image: float32 in [0, 1], where the cortex lies.
        theta: (1,) each, for all images.

    Raises:
        ValueError: the cortex has no such stage.
    """
    if stage not in CODES or (stage == "m5" and cortex.m5 is None):
        raise ValueError(f"expected a stage of this cortex, got {stage!r}; it has {', '.join(stages_of(cortex))}")
    theta = repeat_theta(theta, len(image))
    if stage in ("m4", "m5"):
        return getattr(cortex(image, theta), stage)
    retina = cortex.retina(image, theta)
    if stage == "retina":
        return retina
    m1 = cortex.m1(retina, cortex.cues(image), theta)
    if stage == "m1":
        return m1
    m2 = cortex.m2(m1, theta)
    return m2 if stage == "m2" else cortex.m3(m1, m2, theta)


def _retina(out: RetinaOut) -> Tensor:
    return torch.cat([out.opponent, out.on_off], 1)


def _m1(out: M1Out) -> Tensor:
    return out.energy


def _m2(out: M2Out) -> Tensor:
    return torch.cat([out.contour, out.end_points], 1)


def _m3(out: M3Out) -> Tensor:
    return out.texture_coarse


def _m4(out: M4Out) -> Tensor:
    """In whatever slots they lie: at each place, what its proto-objects are like."""
    return torch.einsum("bshw,bsd->bdhw", out.masks_coarse, out.embedding)


#: Stage -> what is taken for its code, (B, ...).
CODES: Mapping[str, Callable[[Any], Tensor]] = {
    "retina": _retina,  # opponent channels, ON and OFF cells
    "m1": _m1,  # V1's energy at every pixel
    "m2": _m2,  # contours, and where they end
    "m3": _m3,  # texture
    "m4": _m4,  # at each place, the embedding of its proto-object
    "m5": mean_code,  # mean code of the proto-objects
}


def stages_of(cortex: Cortex) -> list[str]:
    """The stages that have a code here."""
    return [name for name in CODES if name != "m5" or cortex.m5 is not None]


def stage_code(cortex: Cortex, stage: str, theta: Theta) -> Code:
    """A stage's code as a function of images (B, 3, H, W)."""
    read = CODES[stage]
    return lambda image: read(answer_of(cortex, stage, image, theta))


def early_maps(cortex: Cortex, theta: Theta, like: Tensor) -> Maps:
    """The layers that texture is judged by: light and colour, and V1's energy, each with a constant beside it.

    Channels are counted from the mean of image ``like`` (1, 3, h, w) in its standard deviations there, so that none
    drowns the others; the constant makes means, not products alone, part of a Gram matrix.
    """
    with torch.no_grad():
        layers = _early_fields(cortex, theta, like)
        scales = [(x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True) + 1e-3 * x.std() + 1e-6) for x in layers]

    def maps(image: Tensor) -> list[Tensor]:
        counted = [(x - mean) / std for x, (mean, std) in zip(_early_fields(cortex, theta, image), scales, strict=True)]
        return [torch.cat([x, torch.ones_like(x[:, :1])], 1) for x in counted]

    return maps


def _early_fields(cortex: Cortex, theta: Theta, image: Tensor) -> list[Tensor]:
    theta = repeat_theta(theta, len(image))
    retina = cortex.retina(image, theta)
    return [retina.opponent, cortex.m1(retina, cortex.cues(image), theta).energy]
