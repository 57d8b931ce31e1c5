"""Views that change each pixel by little and the percept by much, and texture that should hold wherever it lies.

Terms of the objective beside those of random views; neither is measured unless it has a weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ciliary.cortex.ops.loggabor import mirrored_orientations
from ciliary.cortex.perceiver import Perceiver, needs
from ciliary.cortex.synthesis.attack import pgd
from ciliary.cortex.synthesis.texture import texture_distance
from ciliary.cortex.table import repeat_theta
from ciliary.envs.objective.agreement import sharpen, soft_adjusted_rand
from ciliary.envs.objective.views import WayBack

#: Largest change of a value, and steps of the attack: 4/255 is hardly seen.
EPSILON = 4 / 255
N_STEPS = 5
_POWER = 4.0


def worst_views(
    perceiver: Perceiver, images: Tensor, *, epsilon: float = EPSILON, n_steps: int = N_STEPS, seed: int = 0
) -> Tensor:
    """Images (E, 3, H, W) changed by at most ``epsilon``, so that what is perceived with the defaults agrees least.

    Found along the gradient of 1 - the soft adjusted Rand index of both percepts' masks
    (:func:`ciliary.cortex.synthesis.attack.pgd`), once for an image and with the defaults: all settings are asked about
    the same views, and none can hide from its own.

    Raises:
        ValueError: the perceiver has no gradient.
    """
    needs(perceiver, "gradient", "views of the worst case")
    theta = repeat_theta(perceiver.table.default_theta(1), len(images))
    with torch.no_grad():
        own = perceiver(images, theta, perceiver.cues(images)).masks_coarse

    def change(seen: Tensor) -> Tensor:
        return 1 - regions_held(own, perceiver(seen, theta, perceiver.cues(seen)).masks_coarse)

    return pgd(change, images, epsilon, n_steps=n_steps, seed=seed)


def regions_held(masks: Tensor, others: Tensor) -> Tensor:
    """How far masks (B, S, h, w) and others (B, T, h, w) are the same regions, as stability is told: (B,), at most 1.

    The soft adjusted Rand index of the sharpened masks. Undecided masks do not wholly agree with themselves.
    """
    return soft_adjusted_rand(sharpen(masks, power=_POWER), sharpen(others, power=_POWER))


def texture_loss(energy: Tensor, back: WayBack | None, *, n_photometric: int) -> Tensor:
    """How far the texture of an image and of its geometric views differ, mean over the views: (N,) in [0, 1].

    By Gram matrices of V1's energy, which do not say where: nothing is brought back, what a shift moves costs nothing.
    A mirrored view's orientations are mirrored. Blank energy holds perfectly: a term to stand beside others.

    Args:
        energy: (N, 1+V, C, H, W) >= 0; the image itself first, then photometric, then geometric views.
        back: of the N * G geometric views; says which are mirrored. None without geometric views.
        n_photometric: how many of the V views are photometric.

    Raises:
        ValueError: there are no geometric views.
    """
    views = energy[:, 1 + n_photometric :]
    if back is None or not views.shape[1]:
        raise ValueError("texture is compared with geometric views, got none; judge by more views (the default is 4)")
    seen = views.flatten(0, 1)
    seen = torch.where(back.is_flipped[:, None, None, None], mirrored_orientations(seen), seen)
    own = energy[:, :1].expand(-1, views.shape[1], -1, -1, -1).flatten(0, 1)
    return texture_distance([own], [seen]).view(len(energy), -1).mean(1)
