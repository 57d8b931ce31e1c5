"""The things in what B eyes have seen: proto-objects of the mosaic, which keep their slots over looks.

What :func:`ciliary.cortex.memory.glances.remember_glances` does with one path, look by look: of scenes at rest nothing
moves, of films by what the eye has seen to move.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.dorsal.looking import GREY
from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.cortex.memory.files import ObjectMemory, empty_memory
from ciliary.cortex.memory.glances import see_mosaic
from ciliary.cortex.memory.objects import ProtoObjects
from ciliary.cortex.memory.remember import remember
from ciliary.cortex.model import Cortex
from ciliary.envs.eye.film import Moved

#: Things that are remembered, at most.
N_SLOTS = 48
_NOBODY = -1
_T = TypeVar("_T")


class EyeThings:
    """Files of the things in B mosaics.

    Attributes:
        memory: of the latest look; None before the first.
        identity: (B, H, W) int64 at each pixel of the mosaic, -1 where nobody's is.
    """

    def __init__(self, device: torch.device) -> None:
        self._cortex = Cortex().to(device)
        self.memory: ObjectMemory | None = None
        self.identity: Tensor
        self._seen: tuple[Tensor, ProtoObjects] | None = None
        self._px_per_deg = 1.0

    @torch.no_grad()
    def look(self, mosaic: Mosaic, is_looking: Tensor, is_first: Tensor, moved: Moved | None) -> None:
        """Remember one look more.

        Args:
            mosaic: of B episodes, after it.
            is_looking: (B,) bool, the others wait.
            is_first: (B,) bool, episodes that begin with it.
            moved: what was seen to move meanwhile.
        """
        objects = self._objects(mosaic)
        empty = empty_memory(objects, n_slots=N_SLOTS)
        before = self.memory
        if before is None or before.mask.shape != empty.mask.shape:
            before, self.identity = empty, torch.full_like(objects.label, _NOBODY)
        before = _chosen(is_first, empty, before)
        motion = torch.zeros_like(mosaic.image[:, :2])
        if moved is not None:
            motion = moved.motion.flow * (moved.seconds.view(-1, 1, 1, 1) * mosaic.px_per_deg)
        after, found = remember(before, objects, motion=motion)
        self.memory = _chosen(is_looking, after, before)
        self.identity = torch.where(is_looking[:, None, None], found.labels(objects), self.identity)
        self._px_per_deg = mosaic.px_per_deg

    def info(self, i: int) -> dict[str, np.ndarray]:
        """Of one row, a line a slot.

        ``identity`` (48,), -1 in an empty one; ``place_deg`` (48, 2), (y, x) from the centre; ``extent_deg``, root of
        its area; ``age`` and ``unseen`` in looks; ``confidence`` in [0, 1].
        """
        memory = self.memory
        assert memory is not None
        height, width = self.identity.shape[-2:]
        middle = memory.place_px.new_tensor([(height - 1) / 2, (width - 1) / 2])
        alive = memory.is_alive[i]
        told = {
            "identity": memory.identity[i],
            "place_deg": (memory.place_px[i] - middle) / self._px_per_deg * alive[:, None],
            "extent_deg": memory.extent_px[i] / self._px_per_deg * alive,
            "age": memory.age[i] * alive,
            "unseen": memory.unseen[i] * alive,
            "confidence": memory.confidence[i],
        }
        return {name: np.array(values.cpu().numpy()) for name, values in told.items()}

    def _objects(self, mosaic: Mosaic) -> ProtoObjects:
        """Of a mosaic; that of the last look is known already."""
        if self._seen is None or self._seen[0] is not mosaic.image:
            # What was not seen is grey, as to whoever looks at a photograph by glances, not a black thing.
            shown = replace(mosaic, image=torch.where(mosaic.is_seen, mosaic.image, GREY))
            self._seen = mosaic.image, see_mosaic(self._cortex, shown)
        return self._seen[1]


def _chosen(is_first: Tensor, first: _T, second: _T) -> _T:
    """Rows (B,) of one dataclass of tensors or the other."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return cast("_T", torch.where(is_first.view(-1, *[1] * (first.ndim - 1)), first, second))
    parts = vars(second)
    return type(second)(**{name: _chosen(is_first, vars(first)[name], value) for name, value in parts.items()})
