"""What learning is pulled to in place of labels: what many settings of the mathematical cortex agree on.

The teacher is never the cortex that learns: what learns must not set its own aim.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex import Cortex
from ciliary.cortex.device import to_device
from ciliary.cortex.parameters import PARAMETERS, Theta


def teaching_settings(n_settings: int, *, spread: float = 0.2, seed: int = 0) -> Theta:
    """Settings around the defaults, (n_settings,) each; ``spread`` in u."""
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randn(n_settings, len(PARAMETERS), generator=rng)
    return PARAMETERS.from_unit((PARAMETERS.default_unit() + spread * noise).clamp(-1, 1))


@torch.no_grad()
def percepts_of_settings(cortex: Cortex, images: Tensor, theta: Theta) -> Tensor:
    """Which proto-object each pixel is in under each of k settings: (n, 3, H, W) to (n, k, H/2, W/2) uint8.

    Args:
        cortex: whose proto-objects.
        images: of one shape.
        theta: of :func:`teaching_settings`, the same for every image.

    What many settings agree on does not hang on the setting: the consensus that also predicts what people draw best of
    all we know (docs/results.md).
    """
    out, n_settings = [], len(next(iter(theta.values())))
    theta = to_device(theta, images.device)
    for image in images:  # all settings of an image are one pass; more would not fit in the cache
        masks = cortex(image[None].expand(n_settings, -1, -1, -1), theta).m4.masks_coarse
        out.append(masks.max(1).indices.to(torch.uint8))
    return torch.stack(out)


def joined_borders(labels: Tensor) -> Tensor:
    """Share of settings (B, k, h, w) that draw a border between a pixel and a neighbour: (B, 1, h, w) in [0, 1]."""
    right = F.pad((labels[..., 1:] != labels[..., :-1]).float(), (0, 1))
    down = F.pad((labels[..., 1:, :] != labels[..., :-1, :]).float(), (0, 0, 0, 1))
    left, up = F.pad(right, (1, 0))[..., :-1], F.pad(down, (0, 0, 1, 0))[..., :-1, :]
    return torch.stack([right, down, left, up]).amax(0).mean(1, keepdim=True)
