"""What each stage throws away: other images with the same code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.look import Look
from ciliary.cortex.plot.sheet import Sheet, picture_row
from ciliary.cortex.synthesis.ascent import noise_around_grey
from ciliary.cortex.synthesis.codes import answer_of, stage_code, stages_of
from ciliary.cortex.synthesis.dream import resized
from ciliary.cortex.synthesis.metamers import Metamer, find_metamer

_LONG_PX = 96  # long side at which metamers are looked for
_NOISE = 0.1  # of where the search starts, around grey


def metamers_of(
    look: Look, *, n_steps: int, long_px: int = _LONG_PX, seed: int = 0, tick: Callable[[], object] = lambda: None
) -> dict[str, Metamer]:
    """Stage -> the metamer of the look's image at ``long_px`` that was found from noise in ``n_steps`` steps.

    Noise leaves stages that decide (M4, M5) without a slope: they start from their regions, each in its mean colour.
    """
    height, width = look.image.shape[-2:]
    ratio = min(1.0, long_px / max(height, width))
    size = (max(32, round(height * ratio)), max(32, round(width * ratio)))
    image = resized(look.image[None], size).to(look.cortex.device)
    noise = noise_around_grey((1, 3, *size), seed=seed, sigma=_NOISE).to(image.device)
    found: dict[str, Metamer] = {}
    for stage in stages_of(look.cortex):
        decides = stage in ("m4", "m5")
        start = _painted(look, image) if decides else noise
        found[stage] = find_metamer(stage_code(look.cortex, stage, look.theta), image, start, n_steps=n_steps)
        tick()
    return found


@torch.no_grad()
def _painted(look: Look, image: Tensor) -> Tensor:
    """The image with each proto-object in its mean colour."""
    masks = answer_of(look.cortex, "m4", image, look.theta).masks
    colour = torch.einsum("bshw,bchw->bsc", masks, image) / masks.sum((2, 3))[..., None].clamp_min(1e-6)
    return torch.einsum("bshw,bsc->bchw", masks, colour).clamp(0, 1)


def draw_metamers(
    look: Look, *, is_quick: bool = False, seed: int = 0, tick: Callable[[], object] = lambda: None
) -> Figure:
    """The image and a metamer of each stage, with how near each came and how far it is from the image."""
    long_px, n_steps = (48, 8) if is_quick else (_LONG_PX, 40)
    found = metamers_of(look, n_steps=n_steps, long_px=long_px, seed=seed, tick=tick)
    sheet = Sheet(
        "What each stage throws away",
        f"other images, brought to this one's code in {n_steps} steps at {long_px} px; below: squared error of the "
        "code, at the start in brackets, and RMS difference of the images",
        [picture_row(1 + len(found), (look.image.shape[-2], look.image.shape[-1]), gap_in=0.95)],
    )
    style.picture(sheet.axes(0, 0), paint.as_picture(look.image), "The image")
    for column, (stage, one) in enumerate(found.items(), start=1):
        words = f"code {float(one.code_error):.2g} (from {float(one.start_error):.2g})"
        words += f"\nimage {float(one.image_rms):.2f} apart"
        style.picture(sheet.axes(0, column), paint.as_picture(one.image[0].cpu()), f"{stage.upper()}", words)
    return sheet.figure
