"""Metamers: other images with the same code, which show what a stage throws away (Freeman & Simoncelli 2011)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.synthesis.texture import descend, relative_error

Code = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [0, 1] to codes (B, ...), differentiable."""


@dataclass(frozen=True)
class Metamer:
    """An image that a stage takes for another.

    Attributes:
        image: (B, 3, H, W) in [0, 1].
        code_error: (B,) squared error of its code over the squared size of the code asked for.
        start_error: (B,) the same of where it started.
        image_rms: (B,) root mean square difference of the two images' values.
    """

    image: Tensor
    code_error: Tensor
    start_error: Tensor
    image_rms: Tensor


def find_metamer(
    code: Code, image: Tensor, start: Tensor, *, n_steps: int = 100, on_step: Callable[[], object] = lambda: None
) -> Metamer:
    """Change ``start`` until its code is that of ``image``, both (B, 3, H, W).

    A code that holds the whole image leads back to the image; one that holds less, to some other with the same code.
    How near it came is told: an image whose ``code_error`` is not far below ``start_error`` is no metamer.
    """
    with torch.no_grad():
        asked = code(image)
        start_error = relative_error(code(start), asked)
    found = descend(lambda seen: relative_error(code(seen), asked), start, n_steps=n_steps, on_step=on_step)
    with torch.no_grad():
        code_error = relative_error(code(found), asked)
    return Metamer(found, code_error, start_error, (found - image).square().mean((1, 2, 3)).sqrt())
