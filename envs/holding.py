"""Does a percept hold? Its stability in other light and its consistency from other places, on views of its own."""

from __future__ import annotations

import torch
from torch import Tensor

from ciliary.cortex.device import device_of, to_device
from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.perceiver import AbstractPercept, Perceiver
from ciliary.envs.looks import look_at
from ciliary.envs.objective.terms import ObjectiveSettings, coarse_masks, pooled_size, view_agreement
from ciliary.envs.objective.views import apply_views, sample_views, way_back


@torch.no_grad()
def perceive_together(perceiver: Perceiver, images: Tensor, u: Tensor) -> AbstractPercept:
    """The percept of images (B, 3, H, W) at one setting u (1, P), or what the looks at K settings (K, P) come to."""
    u = u.to(images.device)
    if len(u) == 1:
        return perceiver(images, perceiver.table.from_unit(u.expand(len(images), -1)), perceiver.cues(images))
    return integrate(look_at(perceiver, images, u, perceiver.cues(images)))


def how_it_holds(
    perceiver: Perceiver,
    image: Tensor,
    settings: dict[str, Tensor],
    *,
    seed: int,
    n_photometric: int = 1,
    n_geometric: int = 1,
    how: ObjectiveSettings | None = None,
) -> dict[str, dict[str, float]]:
    """Stability and consistency of several percepts of one image, all on the same views.

    Args:
        perceiver: sees.
        image: (3, H, W).
        settings: name -> (K, P) in [-1, 1]; with more than one, the percept is what all of them come to together, of
            the image and of each view.
        seed: of the views.
        n_photometric, n_geometric: views of each kind, >= 1.
        how: masks are read.

    Returns:
        name -> ``stability`` and ``consistency``: 1 - adjusted Rand index with the views' percepts, the geometric ones
        brought back by the true inverse; 0 holds perfectly, about 1 as chance would.
    """
    how = ObjectiveSettings() if how is None else how
    views = sample_views(seed, n_photometric=n_photometric, n_geometric=n_geometric)
    image = image.to(device_of(perceiver))
    images = torch.cat([image[None], apply_views(image[None], views)[:, 0]])
    height, width = image.shape[-2:]
    size = pooled_size(height, width, stride=how.stride)
    back = to_device(way_back(views, size=size, image_size=(height, width))[n_photometric:], image.device)
    found = {}
    for name, u in settings.items():
        masks = coarse_masks(perceive_together(perceiver, images, u), how)[None]
        terms = view_agreement(masks, back, n_photometric=n_photometric)
        found[name] = {term: float(value[0]) for term, value in terms.items()}
    return found
