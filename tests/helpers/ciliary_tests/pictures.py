"""Small pictures on disk for the tests of reading."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image


def save(path, pixels, mode=None, **options):
    """Write pixels (an array, or a Pillow image) to path, and return path."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
    (picture if mode is None else picture.convert(mode)).save(path, **options)
    return path


def corners(height=40, width=60) -> np.ndarray:
    """RGB bytes with a colour in each quarter: red green / blue white. Turning it any way shows."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    pixels[height // 2 :, width // 2 :] = 255
    return pixels


def as_bytes(image: torch.Tensor) -> np.ndarray:
    return (image.permute(1, 2, 0) * 255).round().byte().numpy()
