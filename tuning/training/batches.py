"""What a cortex learns from: photographs, and how the same eye could have seen them a moment later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ciliary.agents.training.pool import fixed_cases
from ciliary.cortex import Cortex
from ciliary.cortex.device import to_device
from ciliary.cortex.parameters import PARAMETERS, Theta
from ciliary.envs.data.reading import Photograph
from ciliary.envs.objective.views import Views, WayBack, apply_views, sample_views, way_back
from ciliary.tuning.training.teaching import percepts_of_settings, teaching_settings


@dataclass(frozen=True)
class Batch:
    """B images, each seen three times: as it is, in another light, from another place; under one setting."""

    images: Tensor  # (3B, 3, H, W): the images, their photometric views, their geometric views
    theta: Theta  # (3B,)
    index: Tensor  # (B,) which photographs
    views: Views  # one photometric, one geometric

    @property
    def n(self) -> int:
        """B."""
        return len(self.index)

    def split(self, field: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A field (3B, ...) of the image, the photometric and the geometric view."""
        plain, lit, moved = torch.split(field, self.n)
        return plain, lit, moved

    def back(self, size: tuple[int, int]) -> WayBack:
        """The way of fields (B, C, h, w) of the geometric view back to the image's own frame."""
        image_size = (self.images.shape[-2], self.images.shape[-1])
        whole = way_back(to_device(self.views, "cpu"), size=size, image_size=image_size)[torch.ones(self.n).long()]
        back: WayBack = to_device(whole, self.images.device)
        return back


class Batches:
    """Photographs of one shape in memory, and batches of them.

    Args:
        photographs: to learn from.
        shape_px: (height, width) they are cropped and shrunk to.
        seed: of order, views and settings.
        spread: standard deviation in u of the settings around the defaults: a stage must not rely on one setting.
        device: where they lie, and the batches.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        *,
        shape_px: tuple[int, int],
        seed: int,
        spread: float = 0.1,
        device: torch.device | str = "cpu",
    ) -> None:
        cases = fixed_cases(photographs, len(photographs), shape_px=shape_px, disturbances=(None,), seed=seed)
        self.device = torch.device(device)
        self.images = torch.stack([case.image for case in cases]).to(self.device)
        self.names = tuple(case.name for case in cases)
        self.seed, self.spread = seed, spread
        self._taught: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def taught(self, n_settings: int) -> Tensor:
        """:func:`ciliary.tuning.training.teaching.percepts_of_settings` of all photographs; perceived once."""
        if self._taught is None or self._taught.shape[1] != n_settings:
            self._taught = percepts_of_settings(Cortex().to(self.device), self.images, teaching_settings(n_settings))
        return self._taught

    def draw(self, step: int, n: int) -> Batch:
        """The batch of a step: the same step draws the same batch in any process."""
        rng = np.random.default_rng([self.seed, step])
        index = torch.as_tensor(rng.choice(len(self), min(n, len(self)), replace=False))
        return self.batch(index, seed=int(rng.integers(2**31)))

    def batch(self, index: Tensor, *, seed: int) -> Batch:
        """These photographs, under views and settings of a seed, which are drawn on the CPU."""
        images = self.images[index.to(self.device)]
        views = to_device(sample_views(seed, n_photometric=1, n_geometric=1), self.device)
        seen = apply_views(images, views)
        noise = torch.randn(len(index), len(PARAMETERS), generator=torch.Generator().manual_seed(seed))
        u = (PARAMETERS.default_unit() + self.spread * noise).clamp(-1, 1).repeat(3, 1)
        theta = PARAMETERS.from_unit(u.to(self.device))
        return Batch(torch.cat([images, *seen]), theta, index.to(self.device), views)
