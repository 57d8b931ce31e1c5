"""M5, recognition: codes, completion and experts. Never sees pixels: only what M4's proto-objects are described by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.description import PARTS, describe_objects
from ciliary.cortex.percept import Cues, M1Out, M4Out, M5Out, Percept, RetinaOut
from ciliary.cortex.v4.code import join_curves


def recognise(description: Tensor, weight: Tensor, pooled: Tensor | None = None, curves: Tensor | None = None) -> M5Out:
    """What can be said of proto-objects without having learned anything.

    Args:
        description: (B, S, d) of :func:`ciliary.cortex.description.describe_objects`.
        weight: (B, S) of :func:`object_weight`.
        pooled: (B, S, C') of :func:`pool_deep`.
        curves: (B, S, d'') V4's embedding, of M4.

    Returns:
        The description itself, each part with the same say, as code; one expert; and what was hidden completed by the
        gist, the mean of the image's proto-objects.
    """
    parts = [F.normalize(description[..., part] - _CENTRE[name], dim=-1) for name, part in PARTS.items()]
    gist = (weight[..., None] * description).sum(1, keepdim=True)
    code = F.normalize(torch.cat(parts, -1), dim=-1)
    gate, completed = torch.ones_like(weight)[..., None], gist.expand_as(description)
    return M5Out(description, code, gate, completed, weight, pooled, shaped(code, curves))


def shaped(code: Tensor, curves: Tensor | None) -> Tensor | None:
    """The code with V4's embedding beside it; None where there is none."""
    return None if curves is None else join_curves(code, curves)


# What a part is compared from: ratios to their mean are about 1, shares of the mask about a half.
_CENTRE = {"colour": 0.0, "texture": 1.0, "place": 0.0, "shape": 0.5, "strokes": 1.0}


def object_weight(m4: M4Out) -> Tensor:
    """How much each proto-object counts, (B, S): objectness times the root of its share of the area; sums to 1.

    The root: a sky of half the image must not drown what flies in it.
    """
    share = m4.masks_coarse.mean((2, 3))
    weight = m4.objectness * torch.sqrt(share + 1e-9)
    return weight / weight.sum(1, keepdim=True).clamp_min(1e-9)


def image_code(percept: Percept) -> Tensor:
    """(B, d'): the mean code of an image's proto-objects, by their weight.

    Raises:
        ValueError: the cortex does not recognise.
    """
    if percept.m5 is None:
        raise ValueError("expected a cortex that recognises, got one without M5; make it with Cortex(recognise=True)")
    return mean_code(percept.m5)


def mean_code(m5: M5Out) -> Tensor:
    """(B, d'): the mean code of an image's proto-objects, by their weight."""
    return (m5.weight[..., None] * m5.code).sum(1)


def pool_deep(deep: Tensor | None, m4: M4Out) -> Tensor | None:
    """Deep maps (B, C', h, w) averaged over each mask: (B, S, C')."""
    if deep is None:
        return None
    masks = F.interpolate(m4.masks_coarse, size=deep.shape[-2:], mode="bilinear", antialias=True).flatten(2)
    return masks @ deep.flatten(2).transpose(1, 2) / masks.sum(2).clamp_min(1e-6)[..., None]


class M5(nn.Module):
    """:func:`recognise` as a module."""

    def forward(self, retina: RetinaOut, m1: M1Out, m4: M4Out, cues: Cues) -> M5Out:
        """See :func:`recognise`."""
        return recognise(describe_objects(retina, m1, m4), object_weight(m4), pool_deep(cues.deep, m4), m4.curves)
