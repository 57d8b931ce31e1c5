"""Pictures that the benchmark of speed looks at: of scikit-image, so that every machine has the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import data
from torch import Tensor


def photograph(size_px: int) -> Tensor:
    """A real photograph (scikit-image's coffee, 3:2) as (3, H, W) with long side ``size_px``."""
    image = torch.from_numpy(data.coffee()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(image, size=(round(size_px * 2 / 3), size_px), mode="area")[0]


def make_pictures(folder: Path, n: int, size_px: int, seed: int) -> Path:
    """``n`` crops of scikit-image's photographs, each another, 3:2 with long side ``size_px``, as PNG."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    whole = [data.coffee(), data.chelsea(), data.rocket(), data.astronaut()]
    for i in range(n):
        picture = whole[i % len(whole)]
        width = int(rng.integers(picture.shape[1] // 3, picture.shape[1] * 2 // 3))
        height = min(round(width * 2 / 3), picture.shape[0])
        y, x = (int(rng.integers(0, a - b + 1)) for a, b in zip(picture.shape, (height, width), strict=False))
        crop = Image.fromarray(picture[y : y + height, x : x + width])
        crop.resize((size_px, round(size_px * 2 / 3))).save(folder / f"{i:05d}.png")
    return folder
