"""Identity over frames: names that a memory gives, told beside where things truly went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from ciliary.cortex.integration.similarity import contingency_px
from ciliary.cortex.memory.objects import ProtoObjects
from ciliary.cortex.memory.settings import MemorySettings
from ciliary.envs.data.active.clips import Clip
from ciliary.envs.metrics.identity import UNKNOWN, IdentityCounts, count_identities, same_things, true_tracks
from ciliary.tuning.track.rows import names_by_links, names_by_memory, names_by_slot, rows_of

MAX_GAP = 3  # frames back that a true thing is looked for
_LEAST_SEEN = 0.25  # share of a proto-object that must be seen in both frames, else nothing is known of it
FLOOR, CEILING = "slot of M4", "true motion from the last frame"

Links = dict[tuple[int, int], np.ndarray]


class Truth:
    """Where the proto-objects of a clip truly are in its other frames; each pair of frames is asked for once."""

    def __init__(self, clip: Clip, objects: Sequence[ProtoObjects]) -> None:
        self.clip, self.objects = clip, objects
        self._found: Links = {}

    def link(self, one: int, other: int) -> np.ndarray:
        """Which proto-object of frame ``one`` each of ``other`` is, counted among those that are there, or -1."""
        if (one, other) not in self._found:
            flow, is_seen = self.clip.flow(one, other)
            self._found[one, other] = link_of(self.objects[one], self.objects[other], flow, is_seen)
        return self._found[one, other]


def link_of(
    one: ProtoObjects, other: ProtoObjects, flow_px: torch.Tensor, is_seen: torch.Tensor
) -> np.ndarray:
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


def tell_clip(
    clip: Clip,
    objects: Sequence[ProtoObjects],
    *,
    step: int = 1,
    settings: MemorySettings | None = None,
    truth: Truth | None = None,
    on_row: Callable[[], None] = lambda: None,
) -> Mapping[str, list[IdentityCounts]]:
    """Every row's mistakes on a clip of which every ``step``-th frame is seen, from each first frame that can be.

    Raises:
        ValueError: fewer than two frames are left.
    """
    if len(objects) <= step:
        raise ValueError(f"{clip.name}: expected more than {step} frames to see every {step}th, got {len(objects)}")
    truth = truth or Truth(clip, objects)
    rows = rows_of(settings or MemorySettings())
    found: dict[str, list[IdentityCounts]] = {name: [] for name in (FLOOR, *rows, CEILING)}
    for first in range(min(step, len(objects) - step)):
        frames = range(first, len(objects), step)
        seen = [objects[i] for i in frames]
        links = {
            (s, t): truth.link(frames[s], frames[t]) for t in range(len(frames)) for s in range(max(t - MAX_GAP, 0), t)
        }
        true = true_tracks([int(one.is_there.sum()) for one in seen], links, max_gap=MAX_GAP)
        flows = [clip.given_flow(frames[t - 1], frames[t]) for t in range(1, len(frames))]
        names = {FLOOR: names_by_slot(seen), CEILING: names_by_links(seen, links)}
        for name, row in rows.items():
            names[name] = names_by_memory(seen, row, flows)
            on_row()
        for name, told in names.items():
            found[name].append(count_identities(true, told))
    return found
