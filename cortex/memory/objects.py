"""Proto-objects as a memory is shown them: where each is, what it looks like, and which of the slots hold one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.description import PARTS, describe_objects
from ciliary.cortex.percept import Percept

#: Least share of the picture that is a thing to be remembered: 55 px of 192 x 144.
LEAST_SHARE = 0.002
#: The parts of :data:`~ciliary.cortex.description.PARTS` that are appearance, weighed alike: two things of a photograph
#: lie 1 apart in mean square. Place is not appearance, and shape and strokes follow the borders, which flicker.
APPEARANCE = {"colour": 3.8, "texture": 0.66}


@dataclass(frozen=True, eq=False)
class ProtoObjects:
    """N proto-objects of each of B pictures.

    Attributes:
        mask: (B, N, h, w) soft, on the simplex; h and w are half the picture's sides.
        label: (B, H, W) int64, the proto-object that wins at each pixel.
        place_px: (B, N, 2) centre of mass, y and x in pixels of the picture; pixel i lies at i.
        extent_px: (B, N) root of the area that it wins.
        code: (B, N, d) what it looks like, wherever it is.
        is_there: (B, N) bool, the others are empty slots.
    """

    mask: Tensor
    label: Tensor
    place_px: Tensor
    extent_px: Tensor
    code: Tensor
    is_there: Tensor

    @property
    def size_px(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return int(self.label.shape[-2]), int(self.label.shape[-1])

    def __getitem__(self, index: slice | Tensor) -> ProtoObjects:
        """Those of some pictures of the batch."""
        return ProtoObjects(*(getattr(self, field.name)[index] for field in fields(self)))

    def to(self, device: torch.device | str) -> ProtoObjects:
        """The same on another device."""
        return ProtoObjects(*(getattr(self, field.name).to(device) for field in fields(self)))


def proto_objects(percept: Percept, *, least_share: float = LEAST_SHARE) -> ProtoObjects:
    """The proto-objects of M4, each with the colour and texture that M5 is told of.

    Args:
        percept: of a cortex, with M5 or without.
        least_share: of the picture that a slot must win to be a proto-object, in [0, 1).

    Raises:
        ValueError: such a share.
    """
    if not 0 <= least_share < 1:
        raise ValueError(f"expected least_share in [0, 1), got {least_share}")
    description = percept.m5.description if percept.m5 is not None else None
    if description is None:
        description = describe_objects(percept.retina, percept.m1, percept.m4)
    return objects_of(percept.masks, appearance(description), least_share=least_share)


def appearance(description: Tensor) -> Tensor:
    """(..., d) of a description (..., D): its parts of :data:`APPEARANCE`, each weighed."""
    return torch.cat([weight * description[..., PARTS[name]] for name, weight in APPEARANCE.items()], -1)


def objects_of(masks: Tensor, code: Tensor, *, least_share: float = LEAST_SHARE) -> ProtoObjects:
    """Proto-objects of any soft masks (B, N, H, W) on the simplex over N, with codes (B, N, d) of any kind.

    Raises:
        ValueError: codes of other objects than the masks'.
    """
    if masks.ndim != 4 or code.shape[:2] != masks.shape[:2]:
        raise ValueError(
            f"expected masks (B, N, H, W) and code (B, N, d), got {tuple(masks.shape)} and {tuple(code.shape)}"
        )
    h, w = masks.shape[-2:]
    label = masks.max(1).indices
    n_px = torch.zeros(masks.shape[:2], dtype=masks.dtype, device=masks.device)
    n_px = n_px.scatter_add(1, label.flatten(1), torch.ones_like(label.flatten(1), dtype=masks.dtype))
    y, x = (torch.arange(n, device=masks.device, dtype=masks.dtype) for n in (h, w))
    mass = masks.sum((2, 3)).clamp_min(1e-6)
    place = torch.stack([(masks.sum(3) * y).sum(2), (masks.sum(2) * x).sum(2)], -1) / mass[..., None]
    return ProtoObjects(F.avg_pool2d(masks, 2), label, place, n_px.sqrt(), code, n_px > least_share * h * w)


def only_seen(objects: ProtoObjects, is_seen: Tensor, *, least: float = 0.5) -> ProtoObjects:
    """Without the proto-objects of which less than ``least`` of the area has been seen: (B, 1, H, W) bool.

    Where a mosaic has not been looked at it is blank, and a blank is no thing.
    """
    n = objects.mask.shape[1]
    index = objects.label.flatten(1)
    share = is_seen.flatten(1).to(objects.mask.dtype)
    total = torch.zeros(len(index), n, dtype=share.dtype, device=share.device).scatter_add(1, index, share)
    return replace(objects, is_there=objects.is_there & (total >= least * objects.extent_px.square()))
