"""What can be told about a percept without any label, beside its agreement with views: one number per feature.

They look at the percept and at the image, through fixed features of the image
(:mod:`ciliary.envs.objective.reference`) that theta cannot move: how many segments and of what sizes, whether their
borders lie where the image changes, how unlike neighbours are, how far the setting is from the defaults. All are
differentiable in the masks. What each is worth is for the calibration to say.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.envs.objective.reference import Reference

#: Names of the features, in the order of :func:`percept_features`.
FEATURES: tuple[str, ...] = (
    "log_segments",
    "largest_share",
    "confidence",
    "explained",
    "explained_beyond_grid",
    "log_residual",
    "border_density",
    "border_contrast",
    "edge_recall",
    "neighbour_contrast",
    "weak_border_share",
    "perimeter",
    "prior_distance",
    "image_contrast",
    "image_edges",
    "image_noise",
)

# Two neighbours less unlike than this many Delta E hardly differ: four just noticeable differences (Mahy et al. 1994).
_WEAK_CONTRAST = 9.0
_EDGE_FLOOR = 1.0  # Delta E under which a step between pixels is noise


def percept_features(masks: Tensor, reference: Reference, u: Tensor, default_u: Tensor) -> dict[str, Tensor]:
    """Features of N percepts, each (N,), by the names in :data:`FEATURES`.

    Args:
        masks: (N, S, h, w) sharpened partitions.
        reference: of the N images at the same (h, w).
        u: (N, P) the settings.

    The image's own three (contrast, edges, noise) are the same for all percepts of an image: they let a model treat
    images differently. Contrasts are logarithms of Delta E (CIE 1976), shares lie in [0, 1].
    """
    share = masks.mean((2, 3))
    entropy = -torch.special.xlogy(share, share.clamp_min(1e-12)).sum(1)
    explained = reference.explained(masks)
    residual = (reference.variance * (1 - explained)).clamp_min(1e-3)

    edges = _steps(reference.features)
    borders = [1 - (a * b).sum(1) for a, b in _neighbours(masks)]
    n_border, n_edge = _total(borders), _total(edges)
    n_both = _total([b * e for b, e in zip(borders, edges, strict=True)])
    n_steps = sum(e[0].numel() for e in edges)

    contact, contrast = _contacts(masks, reference.features)
    n_contact = contact.sum((1, 2)).clamp_min(1e-3)
    weak = torch.sigmoid((_WEAK_CONTRAST - contrast) / (_WEAK_CONTRAST / 3))
    roundness = contact.sum(2) / torch.sqrt((share * masks[0, 0].numel()).clamp_min(1.0))
    noise = _noise(reference.features)
    values = (
        entropy,
        share.amax(1),
        masks.amax(1).mean((1, 2)),
        explained,
        explained - reference.explained_by_grid(torch.exp(entropy)),
        0.5 * torch.log(residual),
        n_border / n_steps,
        torch.log((n_both / n_border.clamp_min(1.0) + 1e-2) / (n_edge / n_steps + 1e-2)),
        n_both / n_edge.clamp_min(1e-3),
        torch.log1p((contact * contrast).sum((1, 2)) / n_contact),
        (contact * weak).sum((1, 2)) / n_contact,
        torch.log1p((share * roundness).sum(1)),
        torch.sqrt((u - default_u).square().mean(1) + 1e-8),
        0.5 * torch.log(reference.variance),
        torch.log(n_edge / n_steps + 1e-2),
        noise,
    )
    return dict(zip(FEATURES, values, strict=True))


def _neighbours(x: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Each pixel with its right and with its lower neighbour."""
    return (x[..., :-1], x[..., 1:]), (x[..., :-1, :], x[..., 1:, :])


def _total(maps: Sequence[Tensor]) -> Tensor:
    """Sum over the steps in both directions, (N,)."""
    across, down = (x.sum((1, 2)) for x in maps)
    return across + down


def _steps(features: Tensor) -> list[Tensor]:
    """How much the image changes between neighbours, two pixels apart where there is room, beyond the floor."""
    out = []
    for axis in (3, 2):
        padded = F.pad(features, (1, 1, 0, 0) if axis == 3 else (0, 0, 1, 1), mode="replicate")
        n = features.shape[axis]
        # between pixel i and i+1: the difference of i+2 and i-1, so that a blurred edge counts whole
        step = padded.narrow(axis, 3, n - 1) - padded.narrow(axis, 0, n - 1)
        out.append((torch.sqrt(step.square().sum(1) + 1e-6) - _EDGE_FLOOR).relu())
    return out


def _contacts(masks: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Length of the border between each two segments (N, S, S), and how unlike their means are in Delta E."""
    n_slots = masks.shape[1]
    across, down = (a.flatten(2) @ b.flatten(2).transpose(1, 2) for a, b in _neighbours(masks))
    contact = across + down
    contact = (contact + contact.transpose(1, 2)) * (1 - torch.eye(n_slots, device=masks.device))
    area = masks.sum((2, 3)).clamp_min(1e-3)
    mean = masks.flatten(2) @ features.flatten(2).transpose(1, 2) / area[..., None]
    return contact, torch.sqrt((mean[:, :, None] - mean[:, None]).square().sum(-1) + 1e-6)


def _noise(features: Tensor) -> Tensor:
    """Log spread of what lightness does from pixel to pixel and no edge explains (Immerkaer 1996), (N,)."""
    light = features[:, :1]
    kernel = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]], device=light.device)[None, None]
    return torch.log(F.conv2d(light, kernel).abs().flatten(1).median(1).values + 1e-2)
