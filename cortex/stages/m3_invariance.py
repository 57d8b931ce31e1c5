"""M3, invariance: texture statistics, and slots made of patches by merging, likeness, geodesics and inhibition."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.atoms import Atoms
from ciliary.cortex.ops.geodesic import geodesic_distance, neighbour_lists
from ciliary.cortex.ops.kmeans import ramp, squared_distance
from ciliary.cortex.ops.merging import Linkage, contrast_linkage, merge_by_contrast, merge_tree, soft_cut
from ciliary.cortex.ops.patches import border_graph, sample_at, soft_patches
from ciliary.cortex.ops.smoothing import gaussian_blur
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import M1Out, M2Out, M3Out
from ciliary.cortex.stages.m1_perception import N_COLOUR, N_TEXTURE

N_SLOTS_MAX = 32
_TEXTURE_STRIDE = 4
# Sharpness of the soft patches, in inverse squared cue units: between two clear colours the choice is all but hard.
_PATCH_SHARPNESS = 60.0
# A step between two patches that look alike still costs something: distance is never flat.
_STEP_FLOOR = 0.02


def texture_statistics(energy: Tensor, pool_px: Tensor) -> Tensor:
    """Local energy statistics: the square root of each V1 channel's energy (B, D, H, W), pooled over ``pool_px`` (B,).

    Returns:
        (B, D, H/4, W/4): the rotation- and phase-tolerant part of Portilla & Simoncelli's (2000) statistics.
    """
    return gaussian_blur(torch.sqrt(energy + 1e-6), pool_px, stride=_TEXTURE_STRIDE)


def inhibit(slots: Tensor, gain: Tensor) -> Tensor:
    """Lateral inhibition between slots (Hartline & Ratliff 1957): r_s - gain * the others, rectified, renormalised.

    Args:
        slots: (B, N, S) on the simplex over S.
        gain: (B,) >= 0.
    """
    g = gain.view(-1, 1, 1)
    driven = F.relu(slots - g * (1 - slots))
    # Where everybody is silenced the old shares come back.
    driven = driven + 1e-4 * slots
    return driven / driven.sum(-1, keepdim=True)


def slot_seeds(cue: Tensor, patches: Atoms, length: Tensor, strength: Tensor, theta: Theta) -> Tensor:
    """The slot 0 .. S-1 each patch seeds, (B, N): patches merged bottom-up until N_SLOTS_MAX are left."""
    given = (cue * patches.size[..., None], patches.size, length, strength)
    weights = (theta["linkage_exponent"], theta["geodesic_barrier_weight"])
    with torch.no_grad():
        seed: Tensor = merge_by_contrast(*given, *weights, patches.unit_px, N_SLOTS_MAX)
    return seed


def _linkage(patches: Atoms, theta: Theta) -> Linkage:
    return contrast_linkage(
        exponent=theta["linkage_exponent"], contour_weight=theta["geodesic_barrier_weight"], unit_size=patches.unit_px
    )


def patch_cues(m1: M1Out, m2: M2Out, patches: Atoms, texture: Tensor, theta: Theta) -> Tensor:
    """Cue vectors of the patches, (B, N, C): colour, depth, pooled texture, root of S2 (Hellinger), backbone."""
    size = patches.image_size
    colour, rest = patches.mean[..., :N_COLOUR], patches.mean[..., N_COLOUR + N_TEXTURE :]
    texture = theta["texture_weight"].view(-1, 1, 1) * sample_at(texture, patches.centre_px, size)
    regions = sample_at(m2.regions_coarse, patches.centre_px, size)
    regions = theta["region_weight"].view(-1, 1, 1) * torch.sqrt(regions.clamp_min(1e-6))
    parts = [colour, rest, texture, regions]
    n_local = N_COLOUR + N_TEXTURE + 1
    if m1.features.shape[1] > n_local:
        parts.append(sample_at(m1.features[:, n_local:], patches.centre_px, size))
    return torch.cat(parts, -1)


def make_slots(m1: M1Out, m2: M2Out, theta: Theta, texture: Tensor | None = None) -> M3Out:
    """From :class:`M1Out` and :class:`M2Out` to :class:`M3Out`; ``texture`` (B, D, H/4, W/4) in place of ours."""
    b = len(m1.boundary)
    texture = texture_statistics(m1.energy, theta["texture_pool_px"]) if texture is None else texture
    local = m1.features[:, : N_COLOUR + N_TEXTURE + 1]
    sharpness = local.new_full((b,), _PATCH_SHARPNESS)
    patches = soft_patches(local, compactness=theta["patch_compactness"], sharpness=sharpness)
    cue = patch_cues(m1, m2, patches, texture, theta)
    n = cue.shape[1]
    length, strength = border_graph(patches.label, n, m2.barrier)

    seed = slot_seeds(cue, patches, length, strength, theta)
    seeds = F.one_hot(seed, N_SLOTS_MAX).to(cue.dtype)  # (B, N, S)
    mass = seeds * patches.size[..., None]
    slot_length, slot_strength = (seeds.transpose(1, 2) @ x @ seeds for x in (length, strength))
    off_diagonal = 1 - torch.eye(N_SLOTS_MAX, device=cue.device)
    slot_length, slot_strength = slot_length * off_diagonal, slot_strength * off_diagonal
    # The count: merges go on until n_slots are left; the last one happens in part.
    tree = merge_tree(
        mass.transpose(1, 2) @ cue, mass.sum(1), slot_length, slot_strength, linkage=_linkage(patches, theta)
    )
    left = torch.arange(N_SLOTS_MAX, 1, -1, device=cue.device)
    n_slots = theta["n_slots"]
    # With all slots no merge happens, not even in part: a hair less, or the count would have no gradient there.
    n_slots = torch.where(n_slots < N_SLOTS_MAX, n_slots, n_slots - 1e-4)
    share = soft_cut(tree, ramp(left[None] - n_slots[:, None]))  # (B, S, S)

    mass = mass @ share
    size = mass.sum(1)
    prototype = mass.transpose(1, 2) @ cue / size.clamp_min(1e-3)[..., None]
    unlike = squared_distance(cue, prototype)
    step = torch.sqrt(squared_distance(cue, cue) + _STEP_FLOOR**2)
    step = step + theta["geodesic_barrier_weight"].view(-1, 1, 1) * strength / length.clamp_min(1.0)
    index, cost = neighbour_lists(length, step)
    member = (seeds @ share).detach()
    distance = geodesic_distance(member > 0.5, index, cost)
    distance = torch.where(torch.isinf(distance), _FAR, distance)
    presence = (size / (0.05 * patches.cell_px**2)).clamp(0, 1)
    drive = -(unlike + theta["geodesic_weight"].view(-1, 1, 1) * distance) / theta["slot_temperature"].view(-1, 1, 1)
    assignment = torch.softmax(drive + torch.log(presence.clamp_min(1e-9))[:, None], -1)
    assignment = inhibit(assignment, theta["inhibition_gain"])

    weight = assignment * patches.size[..., None]
    size = weight.sum(1)
    prototype = weight.transpose(1, 2) @ cue / size.clamp_min(1e-3)[..., None]
    border_length, border_strength = (
        assignment.transpose(1, 2) @ x @ assignment * off_diagonal for x in (length, strength)
    )
    return M3Out(texture, patches, cue, assignment, distance, prototype, size, border_length, border_strength)


_FAR = 100.0  # distance where a slot has no seed, far beyond any real one


class M3(nn.Module):
    """:func:`make_slots` as a module."""

    def forward(self, m1: M1Out, m2: M2Out, theta: Theta) -> M3Out:
        """See :func:`make_slots`."""
        return make_slots(m1, m2, theta)
