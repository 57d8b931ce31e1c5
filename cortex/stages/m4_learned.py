"""M4, learned: proto-objects compete for the patches once more, and objectness is what was found to last."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.parameters import PARAMETERS, Theta
from ciliary.cortex.percept import N_ORIENTATIONS, M3Out, M4Out
from ciliary.cortex.stages.m1_perception import N_COLOUR, N_SCALES
from ciliary.cortex.stages.m4_objects import alive, appraise, cut, describe, regroup

N_KEY = 16
_N_CUES = N_COLOUR + 1 + N_SCALES * N_ORIENTATIONS  # colour, depth, energy statistics: there in every cortex
_N_ROUNDS = 2
_LEAST_SHARE = 0.05  # of a patch, under which a slot is less and less there, as in M3
_TEMPERATURE = PARAMETERS["merge_temperature"].default
#: What objectness is read from.
EVIDENCE = ("contrast", "closure", "variance", "log_size", "extent_y", "extent_x")


class ObjectNet(nn.Module):
    """Keys of patches, the gain of the competition, and the weights of objectness. 1.3k weights."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.key = nn.Sequential(nn.Linear(_N_CUES, width), nn.ReLU(), nn.Linear(width, N_KEY))
        self.log_gain = nn.Parameter(torch.tensor(0.0))
        self.objectness = nn.Linear(len(EVIDENCE), 1)

    def keys(self, cue: Tensor) -> Tensor:
        """Patch cues (B, N, C) to keys (B, N, 16) of length 1."""
        centred = cue[..., :_N_CUES] - cue[..., :_N_CUES].mean(1, keepdim=True)
        return F.normalize(self.key(centred), dim=-1)


def compete(net: ObjectNet, m3: M3Out, assignment: Tensor, theta: Theta) -> Tensor:
    """Slots compete for each patch (Locatello et al. 2020, slot attention), from where the tree put it.

    The softmax is over slots: what one wins the others lose. Slots start as the means of their patches' keys, so there
    is nothing random, and a slot without patches stays without.

    Args:
        net: keys and gain.
        m3: whose patches.
        assignment: (B, N, S) before.
        theta: ``merge_temperature`` is the temperature.

    Returns:
        (B, N, S) on the simplex over S.
    """
    key = net.keys(m3.cue)
    owned = (assignment * m3.patches.size[..., None]).sum(1, keepdim=True)
    presence = (owned / (_LEAST_SHARE * m3.patches.size.mean(1)[:, None, None])).clamp(0, 1)
    # Who has patches may win others; who has none may not: like nobody, it would get the patches that are like nobody.
    prior = torch.log(assignment + 1e-4 * presence + 1e-20)
    gain = torch.exp(net.log_gain) * (_TEMPERATURE / theta["merge_temperature"]).view(-1, 1, 1)
    for _ in range(_N_ROUNDS):
        weight = assignment * m3.patches.size[..., None]
        slot = F.normalize(weight.transpose(1, 2) @ key, dim=-1, eps=1e-3)
        assignment = torch.softmax(prior + gain * (key @ slot.transpose(1, 2)), -1)
    return assignment


class LearnedM4(nn.Module):
    """:func:`~ciliary.cortex.stages.m4_objects.make_objects`, then the competition; objectness by learned weights."""

    def __init__(self) -> None:
        super().__init__()
        self.net = ObjectNet()

    def forward(self, m3: M3Out, theta: Theta) -> M4Out:
        """As M4."""
        share, height = cut(m3, theta)
        assignment = compete(self.net, m3, m3.assignment @ share, theta)
        # borders between proto-objects, from those between slots
        joined = m3.assignment.transpose(1, 2) @ (assignment * m3.patches.size[..., None])
        joined = joined / joined.sum(-1, keepdim=True).clamp_min(1e-6)
        length, strength = (regroup(x, joined) for x in (m3.border_length, m3.border_strength))
        m4 = describe(m3, assignment, length, strength, height, theta)
        _, found, size = appraise(m3, assignment, length, strength)
        weighed = [theta[f"{name}_weight"][:, None] * found[name] for name in EVIDENCE[:3]]
        evidence = torch.stack([*weighed, m4.embedding[..., -5], m4.embedding[..., -2], m4.embedding[..., -1]], -1)
        objectness = torch.sigmoid(self.net.objectness(evidence)[..., 0]) * alive(m3, size)
        return replace(m4, objectness=objectness)
