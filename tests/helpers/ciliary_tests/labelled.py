"""Made-up labelled images: a few pixels, drawn by two people who differ a little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.objective.calibration import Calibration


def write_labelled(root: Path, *, n_images: int = 2, size: tuple[int, int] = (48, 64)) -> Path:
    """``im0``, ``im1``, ...: a bright square on dark ground, elsewhere in each; one person draws it a pixel wider."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    rng = np.random.default_rng(0)
    for i in range(n_images):
        top, left = 1 + (7 + 4 * i) % (size[0] - 26), 1 + (11 + 8 * i) % (size[1] - 26)  # whole in the picture
        maps = []
        for wider in (0, 1):
            labels = np.zeros(size, np.uint8)
            labels[top - wider : top + 24 + wider, left - wider : left + 24 + wider] = 1
            maps.append(labels)
        image = 60 + 120 * maps[0][..., None] + rng.integers(0, 12, (*size, 3))
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"im{i}.png")
        for person, labels in enumerate(maps):
            Image.fromarray(labels).save(root / "labels" / f"im{i}_{person}.png")
    return root


def write_calibration(path: Path, *, likes: str = "log_segments") -> Path:
    """A calibration that finds a percept the better, the more of one feature it has; one start, no panel, no views."""
    name = f"feature.{likes}"
    start = np.zeros((1, len(PARAMETERS)), np.float32)
    layers = ((np.full((1, 1), 0.01, np.float32), np.zeros(1, np.float32)),)
    one = np.ones(1, np.float32)
    none, names = np.zeros((0, len(PARAMETERS)), np.float32), PARAMETERS.names
    Calibration((name,), 0 * one, one, layers, none, start, parameters=names).save(path)
    return path
