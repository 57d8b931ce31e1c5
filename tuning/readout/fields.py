"""What models read: fields of an image, computed once and kept on disk, from which crops are cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex import Cortex
from ciliary.cortex.device import to_device
from ciliary.cortex.fields import GROUPS, dense_fields
from ciliary.cortex.ops.smoothing import gaussian_blur
from ciliary.cortex.parameters import Theta

Seer = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) to fields (B, C, H, W)."""

BLURS_PX = (1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, eq=False)
class CortexFields:
    """The cortex's dense fields of an image, at a setting."""

    cortex: Cortex
    is_oriented: bool = False
    only: tuple[str, ...] = GROUPS

    @torch.no_grad()
    def __call__(self, image: Tensor, theta: Theta | None = None) -> Tensor:
        """Fields (B, C, H, W) of images (B, 3, H, W), on the CPU."""
        percept = self.cortex(to_device(image, self.cortex.device), theta)
        return dense_fields(percept, is_rotation_pooled=not self.is_oriented, only=self.only).cpu()


def blurred(image: Tensor) -> Tensor:
    """:func:`pixels` and their Gaussian blurs at :data:`BLURS_PX`: what pixel classifiers as ilastik's begin with."""
    image = pixels(image)
    sigmas = [image.new_full((len(image),), sigma) for sigma in BLURS_PX]
    return torch.cat([image, *(gaussian_blur(image, sigma) for sigma in sigmas)], 1)


def pixels(image: Tensor) -> Tensor:
    """The image, which a U-Net reads: less its own mean, over its own spread, as nnU-Net has it (Isensee et al. 2021).

    One mean and spread of all channels, so that colour is left. Without it, a dark image is one that it never saw.
    """
    mean, spread = image.mean((1, 2, 3), keepdim=True), image.std((1, 2, 3), keepdim=True)
    return (image - mean) / spread.clamp_min(1e-3)


class Crops(NamedTuple):
    """Fields (B, C, h, w) and classes (B, h, w) of so many places."""

    fields: Tensor
    target: Tensor


class FieldStore:
    """Fields in half precision and classes of images, a file each: read where a crop is cut, whatever their number.

    Args:
        folder: for the files; whoever makes it takes it away.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._fields: dict[int, list[np.ndarray]] = {}
        self._target: dict[int, np.ndarray] = {}

    def add(self, i: int, fields: Tensor, target: np.ndarray) -> None:
        """Keep image i: fields (C, H, W) and classes (H, W). Added again, it is another look at the same image."""
        looks = self._fields.setdefault(i, [])
        path = self._folder / f"{i}.{len(looks)}.npy"
        np.save(path, fields.to(torch.float16).numpy())
        looks.append(np.load(path, mmap_mode="r"))
        self._target[i] = target.astype(np.int8)

    def fields(self, i: int) -> Tensor:
        """(C, H, W) float32 of an image, at its first look."""
        return torch.from_numpy(np.asarray(self._fields[i][0], np.float32))

    def target(self, i: int) -> np.ndarray:
        """(H, W) int64 classes of an image."""
        return self._target[i].astype(np.int64)

    def smallest_px(self, rows: Sequence[int]) -> int:
        """The shortest side of these images."""
        return min(int(min(self._target[i].shape)) for i in rows)

    def crops(self, rows: Sequence[int], n: int, px: int, generator: torch.Generator, *, is_turned: bool) -> Crops:
        """So many squares of ``px`` out of some images, at places drawn evenly; turned and mirrored if asked."""
        cut, classes = [], []
        for _ in range(n):
            i = rows[int(torch.randint(len(rows), (1,), generator=generator))]
            height, width = self._target[i].shape
            top, left = (int(torch.randint(side - px + 1, (1,), generator=generator)) for side in (height, width))
            quarter, mirror = torch.randint(4, (1,), generator=generator), torch.randint(2, (1,), generator=generator)
            looks = self._fields[i]
            look = looks[int(torch.randint(len(looks), (1,), generator=generator))] if len(looks) > 1 else looks[0]
            field = torch.from_numpy(np.asarray(look[:, top : top + px, left : left + px], np.float32))
            target = torch.from_numpy(self._target[i][top : top + px, left : left + px].astype(np.int64))
            if is_turned:
                field, target = (torch.rot90(one, int(quarter), (-2, -1)) for one in (field, target))
                field, target = (one.flip(-1) if mirror else one for one in (field, target))
            cut.append(field)
            classes.append(target)
        return Crops(torch.stack(cut), torch.stack(classes))
