"""M3 on basins: slots from a merge tree on the watershed of the contour, by a learned cost of merging.

The atoms are the contour's own basins, of any number, at the image's own size; what people would say of joining two
regions (:mod:`ciliary.cortex.stages.merge_cost`) merges them to slots, and slots to proto-objects: one hierarchy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.agglomerate import agglomerate
from ciliary.cortex.ops.basins import Basins, make_basins
from ciliary.cortex.ops.kmeans import squared_distance
from ciliary.cortex.ops.region_graph import RegionGraph, group_table, region_graph
from ciliary.cortex.ops.smoothing import gaussian_blur
from ciliary.cortex.ops.watershed import watershed
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import M1Out, M2Out, M3Out
from ciliary.cortex.stages.m1_perception import N_COLOUR, N_TEXTURE
from ciliary.cortex.stages.m1_taught import N_CODE
from ciliary.cortex.stages.m3_invariance import N_SLOTS_MAX, patch_cues, texture_statistics
from ciliary.cortex.stages.merge_cost import N_LOCAL_CUES, MergeCost, merge_odds

_HEIGHT_SIGMA_PX = 0.7  # blur of the contour before it is flooded: without it every grain of it is a basin


def find_basins(m1: M1Out, m2: M2Out) -> Basins:
    """The basins of M2's contour, with the means of colour, texture and depth. A choice, without gradient."""
    with torch.no_grad():
        sigma_px = torch.full((len(m2.contour),), _HEIGHT_SIGMA_PX, device=m2.contour.device)
        label = watershed(gaussian_blur(m2.contour, sigma_px)[:, 0])
    return make_basins(label, m1.features[:, : N_COLOUR + N_TEXTURE + 1])


def basin_cues(m1: M1Out, m2: M2Out, basins: Basins, texture: Tensor, theta: Theta) -> Tensor:
    """As ``patch_cues``, with the mean of M1's code (zeros where it has none) in front of the backbone's: (B, N, C)."""
    cue = patch_cues(m1, m2, basins, texture, theta)
    if m1.code is None:
        code = cue.new_zeros(*cue.shape[:2], N_CODE)
    else:
        code = make_basins(basins.label, m1.code).mean
    return torch.cat([cue[..., :N_LOCAL_CUES], code, cue[..., N_LOCAL_CUES:]], -1)


def atoms_of(m1: M1Out, m2: M2Out, theta: Theta) -> tuple[Tensor, Basins, Tensor, RegionGraph]:
    """What the tree grows from: texture statistics, basins, their cues (B, N, C), their borders with the contour."""
    texture = texture_statistics(m1.energy, theta["texture_pool_px"])
    basins = find_basins(m1, m2)
    cue = basin_cues(m1, m2, basins, texture, theta)
    return texture, basins, cue, region_graph(basins.label, cue.shape[1], m2.contour)


def make_slots_of_basins(m1: M1Out, m2: M2Out, theta: Theta, model: nn.Module) -> M3Out:
    """From :class:`M1Out` and :class:`M2Out` to :class:`M3Out`, with :class:`Basins` for patches.

    Always all slots: ``n_slots`` acts in M4, which cuts the same tree.
    """
    texture, basins, cue, graph = atoms_of(m1, m2, theta)
    b, n, c = cue.shape
    cost = merge_odds(model, theta, image_px=float(basins.label[0].numel()))
    sample = torch.arange(b, device=cue.device).repeat_interleave(n)
    mass = basins.size.flatten()
    cluster = agglomerate(
        cue.reshape(b * n, c) * mass[:, None], mass, graph, linkage=cost, n_left=N_SLOTS_MAX, sample=sample
    )
    # Never more slots than that: the basins of a picture hang together.
    seeds = F.one_hot(cluster.view(b, n), N_SLOTS_MAX).to(cue.dtype)
    length, strength = (
        group_table(graph, values, cluster, n_each=n, n_groups=N_SLOTS_MAX)
        for values in (graph.length, graph.sums[:, 0])
    )
    weight = seeds * basins.size[..., None]
    size = weight.sum(1)
    prototype = weight.transpose(1, 2) @ cue / size.clamp_min(1e-3)[..., None]
    distance = torch.sqrt(squared_distance(cue, prototype) + 1e-6)
    return M3Out(texture, basins, cue, seeds, distance, prototype, size, length, strength)


class BasinM3(nn.Module):
    """:func:`make_slots_of_basins` with a learned cost."""

    inert = frozenset(  # parameters that it does not read
        {
            "patch_compactness",
            "slot_temperature",
            "geodesic_weight",
            "geodesic_barrier_weight",
            "inhibition_gain",
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self.cost = MergeCost()

    def forward(self, m1: M1Out, m2: M2Out, theta: Theta) -> M3Out:
        """As M3."""
        return make_slots_of_basins(m1, m2, theta, self.cost)
