"""Small made-up photographs of several shapes, for quick tests."""

import numpy as np
import torch

from ciliary.envs.data.reading import Photograph


def photographs():
    """Three images: smooth gradient with a disc, stripes beside a plain, patches of colour."""
    return [_photograph(name, i, shape) for i, (name, shape) in enumerate(_SHAPES.items())]


_SHAPES = {"disc": (64, 96), "stripes": (96, 64), "patches": (60, 60)}


def _photograph(name, i, shape):
    height, width = shape
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(i)
    image = np.repeat(0.2 + 0.3 * (x / width)[None], 3, axis=0)
    if name == "disc":
        inside = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (height / 3) ** 2
        image[:, inside] = np.array([[0.8], [0.3], [0.2]])
    elif name == "stripes":
        image[:, : height // 2] = 0.5 + 0.4 * np.sin(x[: height // 2] * 1.2)
    else:
        colours = rng.uniform(0.1, 0.9, (3, 3, 3))
        image = colours[:, y * 3 // height, x * 3 // width]
    image = np.clip(image + rng.normal(0, 0.02, image.shape), 0, 1).astype(np.float32)
    return Photograph(name, torch.from_numpy(image), shape, None)
