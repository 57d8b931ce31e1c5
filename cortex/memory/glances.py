"""Things over glances: the mosaic of a scene grows, and what is found in it keeps its identity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.cortex.memory.files import ObjectMemory, Recognised, empty_memory
from ciliary.cortex.memory.objects import ProtoObjects, only_seen, proto_objects
from ciliary.cortex.memory.remember import remember
from ciliary.cortex.memory.settings import MemorySettings
from ciliary.cortex.percept import Percept
from ciliary.cortex.stages.retina import linear_to_srgb

Perceive = Callable[[Tensor], Percept]
"""Such as a :class:`~ciliary.cortex.model.Cortex`."""


def remember_glances(
    perceive: Perceive, mosaics: Iterable[Mosaic], *, settings: MemorySettings | None = None, n_slots: int = 48
) -> Iterator[tuple[ObjectMemory, ProtoObjects, Recognised]]:
    """Perceive the mosaic after each glance and remember the things in it.

    All mosaics lie in the frame of the scene, so that nothing moves; a thing changes only as it is seen more sharply.
    What has not been seen yet is no thing.

    Args:
        perceive: images (B, 3, H, W), sRGB in [0, 1], to a percept.
        mosaics: in linear light, as of :func:`~ciliary.cortex.dorsal.looking.mosaics_along`.
        settings: of the memory; the defaults when None.
        n_slots: of the memory.

    Yields:
        The memory, the proto-objects, and which file each is, after every glance.
    """
    memory: ObjectMemory | None = None
    for mosaic in mosaics:
        objects = see_mosaic(perceive, mosaic)
        memory = empty_memory(objects, n_slots=n_slots) if memory is None else memory
        still = torch.zeros_like(mosaic.image[:, :2])
        memory, found = remember(memory, objects, motion=still, settings=settings)
        yield memory, objects, found


def see_mosaic(perceive: Perceive, mosaic: Mosaic) -> ProtoObjects:
    """The proto-objects of a mosaic, as far as it has been looked at."""
    return only_seen(proto_objects(perceive(displayed(mosaic))), mosaic.is_seen)


def displayed(mosaic: Mosaic) -> Tensor:
    """(B, 3, H, W) sRGB in [0, 1], what a cortex is shown of a mosaic in linear light."""
    return linear_to_srgb(mosaic.image).clamp(0, 1)
