"""What people would say of joining two regions: a small monotone model of contour, colour, texture, features and size.

Its answer is the log odds that people keep the two apart; it never falls when the contour between them grows stronger
or their cues grow more unlike (Sill 1998: monotone networks by weights that cannot be negative). As gPb-owt-ucm has a
learned strength of contours and ISCRA (Ren & Shakhnarovich 2013) learned merges; here one model for the whole tree.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.pair_cost import PairCost, PairInputs
from ciliary.cortex.parameters import PARAMETERS, Theta
from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.stages.m1_perception import N_COLOUR, N_REGIONS_MAX, N_SCALES
from ciliary.cortex.stages.m1_taught import N_CODE

N_TEXTURE_STATISTICS = N_SCALES * N_ORIENTATIONS
#: Cues in front of M1's code and the trunk's: colour, depth, texture, regions.
N_LOCAL_CUES = N_COLOUR + 1 + N_TEXTURE_STATISTICS + N_REGIONS_MAX
#: What more of can only speak against a merge; then what may speak either way.
APART = ("contour", "contour_log_odds", "colour", "texture", "regions", "code", "trunk")
EITHER = ("log_smaller", "log_larger", "log_enclosure")
_FLOOR = 1e-3
_EVEN_ODDS = 0.25  # cost of a merge of even odds: the range of `merge_threshold` then spans odds of 0.08 to 8


class MergeCost(nn.Module):
    """Log odds of a border that people draw, from what :func:`pair_evidence` says of it. 200 weights."""

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        n_apart, n_either = len(APART), len(EITHER)
        self.apart = nn.Parameter(torch.full((1 + width, n_apart), -2.0))
        self.either = nn.Parameter(torch.zeros(1 + width, n_either))
        self.bias = nn.Parameter(torch.cat([torch.zeros(1), torch.linspace(-2, 2, width)]))
        self.leave = nn.Parameter(torch.full((width,), -2.0))
        self.register_buffer("mean", torch.zeros(n_apart + n_either))
        self.register_buffer("spread", torch.ones(n_apart + n_either))

    def forward(self, evidence: Tensor) -> Tensor:
        """(..., 10) as APART and EITHER to (...)."""
        x = (evidence - self.mean) / self.spread
        apart, either = x[..., : len(APART)], x[..., len(APART) :]
        drive = apart @ F.softplus(self.apart).T + either @ self.either.T + self.bias
        odds: Tensor = drive[..., 0] + torch.tanh(drive[..., 1:]) @ F.softplus(self.leave)
        return odds


def pair_evidence(pairs: PairInputs, theta: Theta, *, image_px: float) -> Tensor:
    """What is known of each pair, (..., 10).

    Args:
        pairs: with means of cues as ``basin_cues`` lists them (colour, depth, texture, regions, code, trunk), and the
            sum of the contour along the border.
        theta: ``closure_weight`` weighs the contour and ``linkage_exponent`` the sizes, in units of their defaults; the
            other cues come weighed.
        image_px: pixels of the image, of which sizes are shares.
    """
    contour = _relative(theta, "closure_weight", pairs) * pairs.mean_along()[..., 0]
    log_odds = torch.logit(contour.clamp(_FLOOR, 1 - _FLOOR))
    ends = [0, N_COLOUR, N_COLOUR + 1, N_COLOUR + 1 + N_TEXTURE_STATISTICS]
    ends += [N_LOCAL_CUES, N_LOCAL_CUES + N_CODE, max(pairs.mean_i.shape[-1], N_LOCAL_CUES + N_CODE)]
    colour, _, texture, regions, code, trunk = (
        torch.sqrt(pairs.squared_distance(slice(a, b)) + _FLOOR**2) for a, b in pairwise(ends)
    )
    share_i, share_j = pairs.size_i / image_px, pairs.size_j / image_px
    smaller, larger = torch.minimum(share_i, share_j), torch.maximum(share_i, share_j)
    scale = _relative(theta, "linkage_exponent", pairs)
    # Border over the perimeter of a disc of the smaller one's size: near 1 where it is enclosed.
    enclosure = pairs.length / torch.sqrt(4 * torch.pi * image_px * smaller.clamp_min(1e-7))
    logs = [torch.log(x.clamp_min(1e-6)) for x in torch.broadcast_tensors(smaller, larger, enclosure)]
    return torch.stack(
        torch.broadcast_tensors(
            contour, log_odds, colour, texture, regions, code, trunk, scale * logs[0], scale * logs[1], logs[2]
        ),
        -1,
    )


def merge_odds(model: nn.Module, theta: Theta, *, image_px: float) -> PairCost:
    """The cost of a merge: the odds that people keep the two apart, scaled to the table's thresholds."""

    def cost(pairs: PairInputs) -> Tensor:
        odds = torch.exp(model(pair_evidence(pairs, theta, image_px=image_px)).clamp(-10, 11))
        return _EVEN_ODDS * odds

    return cost


def _relative(theta: Theta, name: str, pairs: PairInputs) -> Tensor:
    return (theta[name] / PARAMETERS[name].default)[pairs.sample]
