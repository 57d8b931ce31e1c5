"""A memory run over a clip: whose each pixel of each frame is, and what is known of each thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.memory.files import ObjectMemory, empty_memory
from ciliary.cortex.memory.remember import remember
from ciliary.cortex.memory.settings import MemorySettings
from ciliary.envs.data.active.clips import StillClip
from ciliary.tuning.track.clips import Watched


@dataclass(frozen=True, eq=False)
class Followed:
    """What came of it.

    Attributes:
        images: (T, 3, H, W).
        frames: what each is called.
        identity: (T, H, W) int64, whose each pixel is; -1 nobody's.
        memories: after each frame.
    """

    images: Tensor
    frames: Sequence[str]
    identity: np.ndarray
    memories: Sequence[ObjectMemory]

    @property
    def n_things(self) -> int:
        """Ever born."""
        return int(self.memories[-1].n_born[0])


@torch.no_grad()
def follow(watched: Watched, *, n_slots: int, settings: MemorySettings | None = None) -> Followed:
    """Follow the things of a clip, each with its own velocity; in a scene that stands still nothing moves."""
    memory = empty_memory(watched.objects[0], n_slots=n_slots)
    memories, pages = [], []
    for seen in watched.objects:
        still = torch.zeros_like(seen.mask[:, :2]) if isinstance(watched.clip, StillClip) else None
        memory, found = remember(memory, seen, motion=still, settings=settings)
        memories.append(memory)
        pages.append(found.labels(seen)[0].numpy())
    return Followed(watched.clip.images, watched.clip.frame_names, np.stack(pages), memories)


def as_record(followed: Followed, *, name: str) -> dict[str, Any]:
    """What the JSON holds: of every frame the files that are open, in pixels of the frame as it was seen."""
    height, width = followed.images.shape[-2:]
    return {
        "name": name,
        "size_px": [height, width],
        "things": followed.n_things,
        "frames": [
            {"frame": frame, "things": things_of(memory)}
            for frame, memory in zip(followed.frames, followed.memories, strict=True)
        ],
    }


def things_of(memory: ObjectMemory) -> list[dict[str, Any]]:
    """The open files of a batch of one, in the order of birth."""
    found = []
    for i in memory.is_alive[0].nonzero()[:, 0].tolist():
        (y, x), (vy, vx) = memory.place_px[0, i].tolist(), memory.velocity_px[0, i].tolist()
        found.append(
            {
                "identity": int(memory.identity[0, i]),
                "y_px": round(y, 2),
                "x_px": round(x, 2),
                "extent_px": round(float(memory.extent_px[0, i]), 2),
                "velocity_y_px": round(vy, 3),
                "velocity_x_px": round(vx, 3),
                "place_sd_px": round(float(memory.track.covariance[0, i, 0].clamp_min(0).sqrt()), 3),
                "age_frames": int(memory.age[0, i]),
                "unseen_frames": int(memory.unseen[0, i]),
                "confidence": round(float(memory.confidence[0, i]), 3),
            }
        )
    return sorted(found, key=lambda thing: thing["identity"])
