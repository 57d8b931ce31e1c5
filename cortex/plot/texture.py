"""Texture of an image as V1 has it: made anew from noise, and lent to the image by another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.look import Look
from ciliary.cortex.plot.sheet import Sheet, picture_row
from ciliary.cortex.synthesis.ascent import noise_around_grey
from ciliary.cortex.synthesis.codes import early_maps
from ciliary.cortex.synthesis.dream import resized
from ciliary.cortex.synthesis.texture import Maps, texture_distance, with_style

_LONG_PX = 128
_CONTENT_WEIGHT = 0.1
STYLES = ("gravel", "brick")  # photographs of scikit-image's


def style_image(name: str, size: tuple[int, int]) -> Tensor:
    """A bundled texture, (1, 3, h, w) in [0, 1]."""
    import skimage.data

    grey = torch.from_numpy(np.asarray(getattr(skimage.data, name)())).float() / 255
    return resized(grey[None, None, : grey.shape[0] // 2, : grey.shape[1] // 2].expand(1, 3, -1, -1), size)


def draw_texture(
    look: Look, *, is_quick: bool = False, seed: int = 0, tick: Callable[[], object] = lambda: None
) -> Figure:
    """The image, its texture from noise, and the image in other textures."""
    n_steps, long_px = (15, 64) if is_quick else (100, _LONG_PX)
    height, width = look.image.shape[-2:]
    ratio = min(1.0, long_px / max(height, width))
    size = (max(32, round(height * ratio)), max(32, round(width * ratio)))
    image = resized(look.image[None], size).to(look.cortex.device)
    maps = early_maps(look.cortex, look.theta, image)
    made = with_style(
        maps, image, noise_around_grey((1, 3, *size), seed=seed, sigma=0.2).to(image.device), n_steps=n_steps
    )
    tick()
    pictures = [
        ("The image", image, ""),
        ("Its texture alone", made, f"from noise; {_apart(maps, made, image):.3f} from the image's"),
    ]
    for name in STYLES[: 1 if is_quick else None]:
        lent = style_image(name, (128, 128)).to(image.device)
        maps = early_maps(look.cortex, look.theta, lent)
        mixed = with_style(maps, lent, image, content=image, content_weight=_CONTENT_WEIGHT, n_steps=n_steps)
        tick()
        pictures.append(
            (f"Of {name}", mixed, f"{_apart(maps, image, lent):.2f} → {_apart(maps, mixed, lent):.2f} from {name}")
        )
    sheet = Sheet(
        "Texture",
        "products of what V1 and the retina answer, meant over all places, say nothing of where; 0 alike, 1 apart",
        [picture_row(len(pictures), size)],
    )
    for column, (title, one, note) in enumerate(pictures):
        style.picture(sheet.axes(0, column), paint.as_picture(one[0].cpu()), title, note)
    return sheet.figure


def _apart(maps: Maps, image: Tensor, other: Tensor) -> float:
    with torch.no_grad():
        return float(texture_distance(maps(image), maps(other)))
