"""Panels: what other settings perceive in the same image, and how far percepts and they cover each other.

A percept that most of a varied panel nearly agrees with is most likely the one people agree with: a member stands in
for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import norm, qmc
from torch import Tensor

from ciliary.cortex.perceiver import Perceiver

STRIDE = 4  # percepts are compared with the panel's at a quarter of the image's resolution


@dataclass(frozen=True)
class Panel:
    """What K settings perceive in each of E images, and how well each is thought to do there. ``panel[i]`` is some."""

    masks: Tensor  # (E, K, S, H/4, W/4), sharpened
    promise: Tensor  # (E, K), higher is better

    def __getitem__(self, index: int | Tensor | slice) -> Panel:
        rows = torch.arange(len(self.masks), device=self.masks.device)[index].reshape(-1)
        return Panel(self.masks[rows], self.promise[rows])


def draw_panel(
    perceiver: Perceiver, n_members: int, *, spread: float = 0.25, centre_u: np.ndarray | None = None
) -> np.ndarray:
    """Settings (K, P) float32 around a perceiver's defaults: these first, then a Sobol sequence of normal spread.

    Args:
        perceiver: whose; what it names in ``spreads`` (parameter -> standard deviation in u, inf: evenly over the
            whole range) is varied so far, all else by ``spread``.
        n_members: K; a power of two keeps them evenly spread.
        spread: standard deviation in u.
        centre_u: (P,) the middle; None: the defaults.
    """
    table = perceiver.table
    centre = table.default_unit()[0].numpy() if centre_u is None else np.asarray(centre_u, np.float32)
    points = qmc.Sobol(len(table), seed=0).random(n_members)[1:]  # a power of two of them, as it should be
    own = getattr(perceiver, "spreads", {})
    each = np.array([own.get(name, spread) for name in table.names])
    around = centre + np.where(np.isinf(each), 0, each) * norm.ppf(np.clip(points, 1e-6, 1 - 1e-6))
    around = np.where(np.isinf(each), 2 * points - 1, np.clip(around, -1, 1))
    around = np.where(np.isin(table.names, list(perceiver.inert)), centre, around)
    return np.concatenate([centre[None], around]).astype(np.float32)


def for_agreement(masks: Tensor) -> Tensor:
    """Half-resolution masks at the resolution percepts are compared at."""
    return F.avg_pool2d(masks, STRIDE // 2)


def panel_agreement(masks: Tensor, panel: Tensor) -> dict[str, Tensor]:
    """How well percepts and the members of a panel cover each other, (N,) each.

    ``agreement.<k>``: how well masks (N, S, h, w) cover the segments of member k of the panel (N, K, T, h', w'): the
    mean over its segments, weighted by area, of the best intersection over union (Arbelaez et al. 2011, for soft
    masks). That is how a person's map is compared with a percept; the member stands in for the person.
    ``covered.<k>``: how well member k covers the segments of the masks.
    """
    return named_agreement(*cover(for_agreement(masks), panel))


def named_agreement(covers: Tensor, is_covered: Tensor) -> dict[str, Tensor]:
    """The columns of (N, K) by the names of :func:`panel_agreement`."""
    members = range(covers.shape[1])
    return {f"agreement.{k:02d}": covers[:, k] for k in members} | {
        f"covered.{k:02d}": is_covered[:, k] for k in members
    }


def consensus(covers: tuple[Tensor, Tensor]) -> Tensor:
    """How far each member of E panels and the other members cover each other, on average: 2 x (E, K, K) to (E, K)."""
    pairs = torch.stack(covers).mean(0)
    itself = pairs.diagonal(dim1=1, dim2=2)
    return (pairs.sum(2) - itself) / max(1, pairs.shape[1] - 1)


def cover_each_other(panel: Tensor) -> tuple[Tensor, Tensor]:
    """Panels (E, K, S, h, w): how well each member covers each other one, and is covered by it, (E, K, K)."""
    each = [cover(panel[:, k], panel) for k in range(panel.shape[1])]  # all at once would not fit in the cache
    return torch.stack([x for x, _ in each], 1), torch.stack([x for _, x in each], 1)


def cover(masks: Tensor, panel: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (N, S, h, w) and panels (N, K, T, h, w): how well the former cover the latter, and the reverse, (N, K)."""
    p, q = masks.flatten(2), panel.flatten(3)
    shared = torch.bmm(p, q.flatten(1, 2).transpose(1, 2)).unflatten(2, q.shape[1:3])  # (N, S, K, T)
    area_p, area_q = p.sum(2), q.sum(3)
    overlap = shared / (area_p[:, :, None, None] + area_q[:, None] - shared).clamp_min(1e-6)
    n_px = p.shape[2]
    return (overlap.amax(1) * area_q).sum(2) / n_px, (overlap.amax(3) * area_p[:, :, None]).sum(1) / n_px


def join_masks(parts: Sequence[Tensor]) -> Tensor:
    """Masks (N_i, S_i, h, w) along the batch, with empty ones where some have fewer segments."""
    n_most = max(part.shape[1] for part in parts)
    return torch.cat([F.pad(part, (0, 0, 0, 0, 0, n_most - part.shape[1])) for part in parts])
