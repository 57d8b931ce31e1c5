"""What V1 is grown from: patches of ON less OFF of photographs, as the cortex's retina gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ciliary.cortex.ops.smoothing import gaussian_blur
from ciliary.cortex.parameters import PARAMETERS, default_theta
from ciliary.cortex.stages.retina import retina
from ciliary.envs.data.reading import Photograph, UnreadableImage

HOLD_OUT = 8  # every so-many-th photograph is kept to measure on
SURROUND_PX = 6  # three standard deviations of the retina's surround: how much larger a field is seen through it


def contrast_maps(
    photographs: Sequence[Photograph], *, on_image: Callable[[UnreadableImage | None], None] = lambda problem: None
) -> dict[int, Tensor]:
    """ON less OFF (H, W) at the retina's defaults of each photograph that can be read, by its number.

    Args:
        photographs: read one by one; what cannot be read is passed over.
        on_image: called after each, with what was wrong with it.
    """
    maps, theta = {}, default_theta(1)
    for i in range(len(photographs)):
        try:
            seen = retina(photographs[i].image[None], theta).on_off[0]
        except UnreadableImage as problem:
            on_image(problem)
            continue
        maps[i] = seen[0] - seen[1]
        on_image(None)
    return maps


def cut_patches(maps: Sequence[Tensor], n: int, px: int, generator: torch.Generator) -> Tensor:
    """About ``n`` patches (N, px * px), as many of each map, at places drawn evenly.

    Raises:
        ValueError: no map is so large.
    """
    fitting = [one for one in maps if min(one.shape) >= px]
    if not fitting:
        raise ValueError(f"expected photographs of {px} px and more on both sides, got none of {len(maps)}")
    steps, cut = torch.arange(px), []
    for one in fitting:
        top, left = (
            torch.randint(side - px + 1, (-(-n // len(fitting)), 1, 1), generator=generator) for side in one.shape
        )
        cut.append(one[top + steps[:, None], left + steps].flatten(1))
    return torch.cat(cut)


def through_retina(fields: Tensor) -> Tensor:
    """Fields (N, P, Q) on ON less OFF as fields on the image, (N, P + 12, Q + 12): what a physiologist would map.

    The retina's difference of Gaussians at its defaults; what is not linear about it is left out.
    """
    centre = torch.full((1,), PARAMETERS["blur_sigma_px"].default)
    surround = centre * PARAMETERS["surround_ratio"].default
    wide = torch.nn.functional.pad(fields[None], (SURROUND_PX,) * 4)
    return (gaussian_blur(wide, centre) - gaussian_blur(wide, surround))[0]
