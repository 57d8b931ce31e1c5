"""M4, proto-objects: slots merge where nothing holds them apart; each gets a mask and an objectness."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ciliary.cortex.ops.merging import merge_tree, soft_cut
from ciliary.cortex.ops.pair_cost import PairCost, contrast_cost
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import M3Out, M4Out

# Borders shorter than this are the soft shares' tails, not contact.
MIN_BORDER_PX = 1.0
_NO_COST = 10.0  # log cost beyond any real one
_LEAST_COST = -6.0  # log cost of a difference nobody sees: a blank image has no scale of its own


def make_objects(m3: M3Out, theta: Theta) -> M4Out:
    """From :class:`M3Out` to :class:`M4Out`: the tree over the slots, cut softly at ``merge_threshold``."""
    share, height = cut(m3, theta)
    length, strength = (regroup(x, share) for x in (m3.border_length, m3.border_strength))
    return describe(m3, m3.assignment @ share, length, strength, height, theta)


def cut(m3: M3Out, theta: Theta, cost: PairCost | None = None, at_least: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """The share (B, S, S) of each slot in each proto-object, and the cost of each merge of the tree, (B, S-1).

    Args:
        m3: whose slots.
        theta: its thresholds, and the weights of the cost.
        cost: of a merge; contrast and contour, weighed by theta, when None.
        at_least: (B, S-1) how far each merge happens whatever it costs.
    """
    cost = cost or contrast_cost(
        exponent=theta["linkage_exponent"], contour_weight=theta["closure_weight"], unit_size=m3.patches.unit_px
    )
    is_contact = m3.border_length > MIN_BORDER_PX
    length = torch.where(is_contact, m3.border_length, 0.0)
    strength = torch.where(is_contact, m3.border_strength, 0.0)
    tree = merge_tree(m3.prototype * m3.size[..., None], m3.size, length, strength[..., None], cost=cost)
    finite = torch.where(torch.isfinite(tree.height), tree.height, 1e6)
    log_height = torch.log(finite.clamp_min(1e-9))
    margin = log_threshold(log_height, theta)[:, None] - log_height
    happens = torch.sigmoid(margin / theta["merge_temperature"][:, None])
    return soft_cut(tree, at_least + (1 - at_least) * happens), tree.height


def describe(m3: M3Out, assignment: Tensor, length: Tensor, strength: Tensor, height: Tensor, theta: Theta) -> M4Out:
    """Proto-objects from the share of each patch in each of them.

    Args:
        m3: the stage before.
        assignment: (B, N, S) on the simplex over S.
        length: (B, S, S) pixels of border that two proto-objects share.
        strength: (B, S, S) sum of the barrier along it.
        height: (B, S-1), handed on.
        theta: weighs the evidence.
    """
    mean, evidence, size = appraise(m3, assignment, length, strength)
    weighed = torch.stack([theta[f"{name}_weight"][:, None] * value for name, value in evidence.items()]).sum(0)
    return M4Out(
        assignment, m3.patches, embed(m3, assignment, mean, size), torch.sigmoid(weighed) * alive(m3, size), height
    )


def appraise(
    m3: M3Out, assignment: Tensor, length: Tensor, strength: Tensor
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Mean cues (B, S, C), evidence of objecthood (contrast, closure, minus variance; each (B, S)), sizes in pixels."""
    weight = assignment * m3.patches.size[..., None]
    size = weight.sum(1)
    norm = size.clamp_min(1e-3)[..., None]
    mean = weight.transpose(1, 2) @ m3.cue / norm
    variance = (weight.transpose(1, 2) @ (m3.cue**2) / norm - mean**2).clamp_min(0).sum(-1)
    total_length = length.sum(2)
    closure = strength.sum(2) / total_length.clamp_min(1e-3)
    # Contrast with what lies around: neighbours count by the border shared.
    around = length @ mean / total_length.clamp_min(1e-3)[..., None]
    contrast = ((mean - around) ** 2).sum(-1)
    return mean, {"contrast": contrast, "closure": closure, "variance": -variance}, size


def alive(m3: M3Out, size: Tensor) -> Tensor:
    """How far proto-objects of these sizes (B, S) exist, in [0, 1)."""
    unit_share = size / m3.patches.unit_px
    return unit_share / (unit_share + 0.25)  # a quarter of a patch is half alive, whatever the object's scale


def embed(m3: M3Out, assignment: Tensor, mean: Tensor, size: Tensor) -> Tensor:
    """Mean cues, log size, place and spread: (B, S, C + 5)."""
    patches = m3.patches
    weight = assignment * patches.size[..., None]
    norm = size.clamp_min(1e-3)[..., None]
    place = weight.transpose(1, 2) @ patches.centre_px / norm
    spread = (weight.transpose(1, 2) @ (patches.centre_px**2) / norm - place**2).clamp_min(1e-6)
    scale = float(max(patches.image_size))
    log_size = torch.log(size.clamp_min(1e-3) / (patches.image_size[0] * patches.image_size[1]))
    return torch.cat([mean, log_size[..., None], place / scale, torch.sqrt(spread) / scale], -1)


def log_threshold(log_height: Tensor, theta: Theta) -> Tensor:
    """Log of the cost up to which slots merge, (B,): between an absolute threshold and one the image sets itself.

    One threshold for all images calls a low-contrast scene one object; a count alone calls an empty sky several. In
    between (on the log scale, by ``threshold_adaptation``) does better than either. The image's own threshold is the
    cost of the merge that leaves ``expected_objects``, interpolated for fractional counts. Merges are counted from the
    last real one backwards, so that dead and duplicate slots do not count.

    Args:
        log_height: (B, S-1) log cost of each merge, never falling; above ``_NO_COST`` where nothing is left to merge.
    """
    n_real = (log_height < _NO_COST).sum(1)  # merge i leaves n_real - i groups of those that touch
    place = (n_real - theta["expected_objects"]).clamp_min(0)
    below = place.detach().floor().long()
    pair = log_height.gather(1, torch.stack([below, (below + 1).clamp_max(log_height.shape[1] - 1)], 1))
    own = torch.lerp(pair[:, 0], pair[:, 1], place - below).clamp_min(_LEAST_COST)
    absolute = torch.log(theta["merge_threshold"])
    return torch.lerp(absolute, torch.where(n_real > 0, own, absolute), theta["threshold_adaptation"])


def regroup(x: Tensor, share: Tensor) -> Tensor:
    """A (B, S, S) table of pairs of slots as one of pairs of groups, without its diagonal."""
    return share.transpose(1, 2) @ x @ share * (1 - torch.eye(x.shape[1], device=x.device))


class M4(nn.Module):
    """:func:`make_objects` as a module."""

    def forward(self, m3: M3Out, theta: Theta) -> M4Out:
        """See :func:`make_objects`."""
        return make_objects(m3, theta)
