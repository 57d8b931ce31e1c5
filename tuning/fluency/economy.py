"""How few units of a stage do the work, beside the same on images without structure.

Gini's index and the share of active units, relative to the strongest: neither knows the scale of what it is measured
on, so that no gain control in between changes it. A count above a fixed threshold would follow the contrast.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ciliary.cortex.ops.gini import gini
from ciliary.cortex.percept import Percept

ACTIVE_FROM = 0.1  # of the strongest unit's answer; less counts as silent
STAGES = ("retina", "m1", "m2", "m3", "m4")
_SILENT = 1e-6
_LEAST_SPREAD = 1e-4  # of the scrambles, under which they are one number and tell no distance


def activity(percept: Percept) -> dict[str, Tensor]:
    """What each stage's units answer, (B, ...) >= 0, before anything normalises it.

    ON and OFF cells; V1's energy; M2's contour; the shares of M3's slots and of M4's proto-objects.
    """
    return {
        "retina": percept.retina.on_off,
        "m1": percept.m1.energy,
        "m2": percept.m2.contour,
        "m3": percept.m3.patches.render(percept.m3.assignment, is_coarse=True),
        "m4": percept.masks_coarse,
    }


def sparsity(x: Tensor) -> Tensor:
    """Gini's index of each sample (B, ...): (B,), NaN where all is silent: of nothing there is no share."""
    flat = x.flatten(1).abs()
    return torch.where(flat.amax(1) > _SILENT, gini(flat), torch.nan)


def active_share(x: Tensor, *, least: float = ACTIVE_FROM) -> Tensor:
    """Relative L_eps: share of units above ``least`` times the strongest: (B, ...) to (B,); NaN where all is silent."""
    flat = x.flatten(1).abs()
    most = flat.amax(1, keepdim=True)
    share = (flat > least * most).float().mean(1)
    return torch.where(most[:, 0] > _SILENT, share, torch.nan)


def economy(percept: Percept) -> dict[str, float]:
    """``gini_<stage>`` and ``active_<stage>`` of the first sample, and these beside the others.

    ``gini_<stage>_z`` and ``active_<stage>_z`` are how many standard deviations of the others it lies above their mean.

    Args:
        percept: of an image, and of its scrambles (:func:`~ciliary.cortex.ops.phase_scramble.phase_scramble`).
    """
    found: dict[str, float] = {}
    for stage, field in activity(percept).items():
        for name, values in (("gini", sparsity(field)), ("active", active_share(field))):
            found[f"{name}_{stage}"] = float(values[0])
            found[f"{name}_{stage}_z"] = _distance(values[0], values[1:])
    return found


def null_of(percept: Percept) -> dict[str, float]:
    """``gini_<stage>`` and ``active_<stage>``, means over scrambles alone."""
    found: dict[str, float] = {}
    for stage, field in activity(percept).items():
        found[f"gini_{stage}"] = float(sparsity(field)[1:].mean())
        found[f"active_{stage}"] = float(active_share(field)[1:].mean())
    return found


def _distance(value: Tensor, null: Tensor) -> float:
    spread = float(null.std())
    return float("nan") if not spread > _LEAST_SPREAD else float((value - null.mean()) / spread)
