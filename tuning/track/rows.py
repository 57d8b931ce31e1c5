"""Ways to name the proto-objects of frame after frame, from knowing nothing to knowing the true motion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.memory.files import empty_memory
from ciliary.cortex.memory.objects import ProtoObjects
from ciliary.cortex.memory.remember import remember
from ciliary.cortex.memory.settings import MemorySettings
from ciliary.envs.metrics.identity import UNKNOWN

#: Limits of the poorer rows, chosen as the memory's own was, on other moved photographs than are told.
CENTRE_LIMIT, PLACE_LIMIT, CODE_LIMIT = 0.99, 0.75, 0.7


@dataclass(frozen=True)
class Row:
    """One way.

    Attributes:
        settings: of its memory.
        is_given_flow: it is told the motion.
    """

    settings: MemorySettings
    is_given_flow: bool = False


def rows_of(how: MemorySettings) -> Mapping[str, Row]:
    """The rows of the table by name: parts of a memory left out, each with the limit that suits what is left."""
    still = replace(how, moves=False)
    centre = replace(still, overlap_weight=0.0, code_weight=0.0, size_weight=0.0, n_lost=1, limit=CENTRE_LIMIT)
    code = replace(still, overlap_weight=0.0, place_weight=0.0, size_weight=0.0, limit=CODE_LIMIT)
    return {
        "nearest centre": Row(centre),
        "place": Row(replace(still, code_weight=0.0, limit=PLACE_LIMIT)),
        "code": Row(code),
        "place + code": Row(still),
        "place + code + own velocity": Row(replace(how, moves=True)),
        "place + code + given flow": Row(how, is_given_flow=True),
    }


@torch.no_grad()
def names_by_memory(
    objects: Sequence[ProtoObjects], row: Row, flows: Sequence[Tensor], *, n_slots: int
) -> list[np.ndarray]:
    """What a memory calls the proto-objects of T frames (batches of one), each array those that are there.

    Args:
        objects: of each frame.
        row: the memory.
        flows: T - 1, from each frame to the next; read if the row is given them.
        n_slots: of the memory.
    """
    memory, names = empty_memory(objects[0], n_slots=n_slots), []
    for t, seen in enumerate(objects):
        motion = flows[t - 1] if row.is_given_flow and t else None
        memory, found = remember(memory, seen, motion=motion, settings=row.settings)
        names.append(found.identity[0][seen.is_there[0]].numpy())
    return names


def names_by_slot(objects: Sequence[ProtoObjects]) -> list[np.ndarray]:
    """Each proto-object is called by the slot of M4 that it lies in, which means nothing."""
    return [np.flatnonzero(seen.is_there[0].numpy()) for seen in objects]


def names_by_links(objects: Sequence[ProtoObjects], links: Mapping[tuple[int, int], np.ndarray]) -> list[np.ndarray]:
    """By the true motion from the last frame alone: what was away for a frame has a new name."""
    names: list[np.ndarray] = []
    n = 0
    for t, seen in enumerate(objects):
        own = np.full(int(seen.is_there.sum()), UNKNOWN)
        if t:
            link = links[t - 1, t]
            own = np.where(link == UNKNOWN, UNKNOWN, names[-1][np.maximum(link, 0)])
        is_new = own == UNKNOWN
        own[is_new] = n + np.arange(is_new.sum())
        n += int(is_new.sum())
        names.append(own)
    return names
