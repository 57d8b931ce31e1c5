"""Which proto-object of a frame is which of another, by where everything truly went."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ciliary.cortex.integration.similarity import contingency_px
from ciliary.cortex.memory.objects import ProtoObjects
from ciliary.envs.data.active.clips import Clip
from ciliary.envs.metrics.identity import UNKNOWN, same_things

_LEAST_SEEN = 0.25  # share of a proto-object that must be seen in both frames, else nothing is known of it


class Truth:
    """Where the proto-objects of a clip truly are in its other frames; each pair of frames is asked for once."""

    def __init__(self, clip: Clip, objects: Sequence[ProtoObjects]) -> None:
        self.clip, self.objects = clip, objects
        self._found: dict[tuple[int, int], np.ndarray] = {}

    def link(self, one: int, other: int) -> np.ndarray:
        """Which proto-object of frame ``one`` each of ``other`` is, counted among those that are there, or -1."""
        if (one, other) not in self._found:
            flow, is_seen = self.clip.flow(one, other)
            self._found[one, other] = link_of(self.objects[one], self.objects[other], flow, is_seen)
        return self._found[one, other]


def link_of(one: ProtoObjects, other: ProtoObjects, flow_px: torch.Tensor, is_seen: torch.Tensor) -> np.ndarray:
    """:func:`~ciliary.envs.metrics.identity.same_things` of two frames, along a flow, where it is known."""
    n, (height, width) = one.mask.shape[1], one.size_px
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    to_y = (y + flow_px[0, 0]).round().long().clamp(0, height - 1)
    to_x = (x + flow_px[0, 1]).round().long().clamp(0, width - 1)
    known = is_seen[0, 0]
    pair = torch.where(known, one.label[0], n), torch.where(known, other.label[0][to_y, to_x], n)
    counted = contingency_px(pair[0][None], pair[1][None])[0]
    shared = torch.zeros(n + 1, n + 1)
    shared[: counted.shape[0], : counted.shape[1]] = counted
    table = shared[:n, :n].double().numpy()
    seen_px = table.sum(1), table.sum(0)
    here = [frame.is_there[0].numpy() for frame in (one, other)]
    link = same_things(table[here[0]][:, here[1]], seen_px[0][here[0]], seen_px[1][here[1]])
    areas = [frame.extent_px[0].square().numpy()[there] for frame, there in zip((one, other), here, strict=True)]
    enough = [px[there] >= _LEAST_SEEN * area for px, there, area in zip(seen_px, here, areas, strict=True)]
    is_known = (link != UNKNOWN) & enough[1]
    if len(enough[0]):
        is_known &= enough[0][np.maximum(link, 0)]
    return np.where(is_known, link, UNKNOWN)
