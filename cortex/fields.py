"""All that a percept says of every pixel, as one stack of fields: what a head or a probe is trained on.

Numbers of slots and regions mean nothing from image to image, so what is told of them is what they are like: how
large, what colour, how much of an object, how surely a pixel belongs to its own.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.percept import N_ORIENTATIONS, M4Out, Percept
from ciliary.cortex.stages.m1_perception import N_COLOUR

GROUPS = ("retina", "m1", "m2", "m3", "m4", "code")
_LOG_SIZE = -5  # of an embedding: mean cues, log size, place (2) and spread (2)


def dense_fields(percept: Percept, *, is_rotation_pooled: bool = True, only: Collection[str] = GROUPS) -> Tensor:
    """The fields of a percept at its image's resolution, (B, C, H, W).

    Args:
        percept: of a cortex.
        is_rotation_pooled: of V1's and M3's orientations the mean and the largest of each scale, which a turned image
            does not change; else each orientation by itself.
        only: stages to take, of :data:`GROUPS`; ``code`` is what M1 and M3 have learned, where they have.

    Raises:
        ValueError: no stage, one that there is not, or codes alone of a cortex without.
    """
    named = named_fields(percept, is_rotation_pooled=is_rotation_pooled, only=only)
    if not named:
        raise ValueError(f"this cortex has no fields of {', '.join(only)}; take another stage of {', '.join(GROUPS)}")
    return torch.cat(list(named.values()), 1)


def named_fields(
    percept: Percept, *, is_rotation_pooled: bool = True, only: Collection[str] = GROUPS
) -> dict[str, Tensor]:
    """What :func:`dense_fields` is made of, in its order: ``stage.field`` -> (B, C, H, W)."""
    if not only or set(only) - set(GROUPS):
        raise ValueError(f"expected stages out of {', '.join(GROUPS)}, got {', '.join(only) or 'none'}")
    retina, m1, m2, m3 = percept.retina, percept.m1, percept.m2, percept.m3
    size = (m1.boundary.shape[-2], m1.boundary.shape[-1])
    n_energies = m1.energy.shape[1]
    texture = m3.texture  # energies pooled, and a learned code behind them where there is one

    def turned(energies: Tensor) -> Tensor:
        return pool_orientations(energies) if is_rotation_pooled else energies

    fields = {
        "retina.opponent": retina.opponent,
        "retina.on_off": retina.on_off,
        "m1.energy": turned((m1.energy + 1e-6).sqrt()),  # amplitude: energies are heavy-tailed
        "m1.boundary": m1.boundary,
        "m1.depth": m1.depth,
        "m2.end_points": m2.end_points,
        "m2.contour": m2.contour,
        "m2.barrier": m2.barrier,
        "m3.texture": turned(texture[:, :n_energies]),
        "m4.objects": object_fields(percept.m4),
    }
    if m1.code is not None:
        fields["code.m1"] = F.interpolate(m1.code, size=size, mode="bilinear", align_corners=False)
    if texture.shape[1] > n_energies:
        fields["code.m3"] = texture[:, n_energies:]
    return {name: field for name, field in fields.items() if name.partition(".")[0] in only}


def pool_orientations(energies: Tensor) -> Tensor:
    """Channels of A scales and O orientations (B, A*O, H, W), scale-major, to mean and largest, (B, 2A, H, W)."""
    scales = energies.unflatten(1, (-1, N_ORIENTATIONS))
    return torch.cat([scales.mean(2), scales.amax(2)], 1)


def object_fields(m4: M4Out) -> Tensor:
    """(B, 6, H, W): doubt (1 - the largest mask), objectness, log share of the area, colour of the pixel's objects."""
    told = torch.cat(
        [m4.objectness[..., None], m4.embedding[..., _LOG_SIZE, None], m4.embedding[..., :N_COLOUR]], -1
    )  # (B, S, 5)
    doubt = 1 - m4.assignment.amax(-1, keepdim=True)
    return m4.patches.render(torch.cat([doubt, m4.assignment @ told], -1))
