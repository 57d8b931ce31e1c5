"""What an objective may ask of recognition besides: codes that hold, completion that fits, experts that are sure.

Each term lies in [0, 1], is to be minimised, and is differentiable in theta. None of them is measured unless it has a
weight. Constant codes hold perfectly: these terms belong beside those of :mod:`ciliary.envs.objective.terms`, not in
their place.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from ciliary.cortex.description import PARTS
from ciliary.cortex.percept import M5Out
from ciliary.envs.objective.agreement import contingency
from ciliary.envs.objective.views import WayBack

RECOGNITION_TERMS: tuple[str, ...] = ("code_stability", "completion", "gate_entropy")

#: Weights of the objective called ``recognition``, beside those of the raw terms.
RECOGNITION_WEIGHTS: Mapping[str, float] = {"code_stability": 0.3, "completion": 0.1, "gate_entropy": 0.1}

_LEAST_LENGTH = 1e-2  # squared, of a part of a description: an error is not measured by nothing


def recognition_terms(
    names: Collection[str], m5: M5Out | None, masks: Tensor, back: WayBack | None, *, n_photometric: int
) -> dict[str, Tensor]:
    """The terms asked for, each (N,).

    Args:
        names: of :data:`RECOGNITION_TERMS`.
        m5: of N * (1+V) images, row by row: an image, its photometric, then its geometric views.
        masks: (N, 1+V, S, h, w) partitions of the same.
        back: the way back of the N * G geometric views at (h, w); None without geometric views.
        n_photometric: how many of the V views are photometric.

    Returns:
        In the order of :data:`RECOGNITION_TERMS`. Without views ``code_stability`` is not measured and left out;
        the other terms are about the images alone.

    Raises:
        ValueError: there is no ``m5``.
    """
    if m5 is None:
        raise ValueError(
            f"the objective weighs {', '.join(names)}, but this cortex does not recognise; build it with "
            'recognise=True, or with a learned M5 such as learned=("m5",)'
        )
    n_rows = masks.shape[1]
    terms: dict[str, Tensor] = {}
    if "code_stability" in names and n_rows > 1:
        code = m5.code.unflatten(0, (-1, n_rows))
        terms["code_stability"] = code_stability(masks, code, back, n_photometric=n_photometric)
    if "completion" in names:
        terms["completion"] = completion_loss(*(x[::n_rows] for x in (m5.description, m5.completed, m5.weight)))
    if "gate_entropy" in names:
        terms["gate_entropy"] = gate_entropy(m5.gate[::n_rows], m5.weight[::n_rows])
    return terms


def code_stability(masks: Tensor, code: Tensor, back: WayBack | None, *, n_photometric: int) -> Tensor:
    """1 - how far the codes of an image and of its views agree, mean over the views.

    Args:
        masks: (N, 1+V, S, h, w) partitions; the image itself first, then photometric, then geometric views.
        code: (N, 1+V, S, d) of length 1.
        back: the way back of the N * G geometric views, row by row; None without geometric views.
        n_photometric: how many of the views are photometric.

    Returns:
        (N,) in [0, 1].
    """
    n, n_views = len(masks), masks.shape[1] - 1
    n_geometric = n_views - n_photometric
    losses = []
    for first, n_seen, way in ((1, n_photometric, None), (1 + n_photometric, n_geometric, back)):
        if not n_seen:
            continue
        if first > n_photometric and way is None:
            raise ValueError(
                f"got {n_geometric} geometric views and no way back; "
                "build it with ciliary.envs.objective.views.way_back"
            )
        own, own_code = (x[:, :1].expand(-1, n_seen, *x.shape[2:]).flatten(0, 1) for x in (masks, code))
        seen, seen_code = (x[:, first : first + n_seen].flatten(0, 1) for x in (masks, code))
        if way is not None:
            seen = way(seen)
        agreement = code_agreement(own, seen, own_code, seen_code, None if way is None else way.valid)
        losses.append(1 - agreement.view(n, n_seen))
    return torch.cat(losses, 1).mean(1)


def code_agreement(p: Tensor, q: Tensor, code_p: Tensor, code_q: Tensor, valid: Tensor | None = None) -> Tensor:
    """Cosine of the codes that two percepts give to the same pixel, mean over pixels.

    sum_ij O_ij <c_i, c_j> / sum_ij O_ij, with O_ij the pixels that slot i of the one shares with slot j of the other.
    Slots are never matched: their order does not matter, and what one percept splits in two costs nothing as long as
    both halves are recognised as the same.

    Args:
        p, q: (B, S, h, w) and (B, T, h, w) partitions.
        code_p, code_q: (B, S, d) and (B, T, d) of length 1.
        valid: (B, 1, h, w) weight of each pixel; all when None.

    Returns:
        (B,), clamped to [0, 1].
    """
    overlap = contingency(p, q, valid)
    alike = code_p @ code_q.transpose(1, 2)
    return ((overlap * alike).sum((1, 2)) / overlap.sum((1, 2)).clamp_min(1e-6)).clamp(0, 1)


def completion_loss(description: Tensor, completed: Tensor, weight: Tensor) -> Tensor:
    """How far what M5 completes is from what is seen: tanh of the squared error, relative to the description itself.

    Relative part by part, ||completed - description||^2 / ||description||^2, so that each has the same say and
    nothing depends on the batch; mean over the parts, then over the proto-objects by their weight.

    Args:
        description: (N, S, d).
        completed: (N, S, d).
        weight: (N, S), summing to 1.

    Returns:
        (N,) in [0, 1].
    """
    error = (completed - description).square()
    parts = [
        error[..., part].sum(-1) / (description[..., part].square().sum(-1) + _LEAST_LENGTH) for part in PARTS.values()
    ]
    # tanh of each: a speck nobody could complete must not outweigh what can be seen
    return (weight * torch.tanh(torch.stack(parts).mean(0))).sum(1)


def gate_entropy(gate: Tensor, weight: Tensor) -> Tensor:
    """How undecided the router is between E experts: entropy over log E, mean over the proto-objects by their weight.

    Args:
        gate: (N, S, E) on the simplex over E.
        weight: (N, S), summing to 1.

    Returns:
        (N,) in [0, 1]; 0 with one expert.
    """
    n_experts = gate.shape[2]
    if n_experts == 1:
        return torch.zeros_like(weight[:, 0])
    # not xlogy: experts left out have share 0, where its gradient is infinite
    entropy = -(gate * torch.log(gate.clamp_min(1e-12))).sum(2)
    return (weight * entropy).sum(1) / math.log(n_experts)
