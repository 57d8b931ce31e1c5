"""The cortex: retina and stages M1-M4 in a row, and the cues that depend on the image alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cortex.m1 import M1
from cortex.m2 import M2
from cortex.m3 import M3
from cortex.m4 import M4
from cortex.parameters import Theta, check_theta, default_theta
from cortex.percept import Cues, Percept
from cortex.providers import make_backbone, make_depth
from cortex.retina import Retina

MIN_SIDE_PX = 32
_RANGE_SLACK = 1e-3  # rounding, of a resampled or mirrored image


class Cortex(nn.Module):
    """From an image and theta to a :class:`Percept`. Deterministic; differentiable in theta; nothing in it is trained.

    Args:
        depth: depth provider, ``"none"``, ``"pictorial"`` or ``"midas"``.
        features: backbone, ``"none"`` or ``"efficientnet_lite0"``.
        retina, m1, m2, m3, m4: stages of your own, in place of ours; each a module with the same call and answer.

    Raises:
        ProviderUnavailable: if a provider's weights can't be had; the message says what to do.
    """

    def __init__(
        self,
        *,
        depth: str = "none",
        features: str = "none",
        retina: nn.Module | None = None,
        m1: nn.Module | None = None,
        m2: nn.Module | None = None,
        m3: nn.Module | None = None,
        m4: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.depth = make_depth(depth)
        self.backbone = make_backbone(features)
        self.retina = retina or Retina()
        self.m1 = m1 or M1()
        self.m2 = m2 or M2()
        self.m3 = m3 or M3()
        self.m4 = m4 or M4()

    def cues(self, image: Tensor) -> Cues:
        """The maps that depend on the image (B, 3, H, W) alone; compute them once and share them between settings."""
        check_image(image)
        with torch.no_grad():
            return Cues(self.depth(image), None if self.backbone is None else self.backbone(image))

    def forward(self, image: Tensor, theta: Theta | None = None, cues: Cues | None = None) -> Percept:
        """Perceive.

        Args:
            image: (B, 3, H, W) float32, sRGB in [0, 1], both sides at least MIN_SIDE_PX.
            theta: one value per sample and parameter, (B,) each; the defaults when None.
            cues: from :meth:`cues`; computed here when None.

        Raises:
            ValueError: on a wrong shape, dtype or range of ``image``, or a theta of another batch size.
            KeyError: on unknown or missing parameter names.
        """
        check_image(image)
        theta = default_theta(len(image)) if theta is None else theta
        check_theta(theta, len(image))
        cues = self.cues(image) if cues is None else cues
        retina = self.retina(image, theta)
        m1 = self.m1(retina, cues, theta)
        m2 = self.m2(m1, theta)
        m3 = self.m3(m1, m2, theta)
        return Percept(retina, m1, m2, m3, self.m4(m3, theta))


def check_image(image: Tensor) -> None:
    """Raise ``ValueError`` unless ``image`` is (B, 3, H, W) float32 in [0, 1] and large enough."""
    if image.ndim != 4 or image.shape[1] != 3 or image.dtype != torch.float32:
        raise ValueError(
            f"expected an image (B, 3, H, W) of float32 in [0, 1], got {tuple(image.shape)} of {image.dtype}"
        )
    if min(image.shape[-2:]) < MIN_SIDE_PX:
        raise ValueError(
            f"expected both sides >= {MIN_SIDE_PX} px, got {tuple(image.shape[-2:])}; enlarge the image first"
        )
    low, high = (float(x) for x in torch.aminmax(image.detach())) if image.numel() else (0.0, 1.0)
    if not (low >= -_RANGE_SLACK and high <= 1 + _RANGE_SLACK):  # also when one of them is NaN
        raise ValueError(
            f"expected values in [0, 1], got {low:.3g} to {high:.3g}; divide bytes by 255, clamp after interpolating"
        )
