"""Ways of completing a contour side by side, and what is asked of each: selectivity, and the names of junctions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex import Cues, default_theta
from ciliary.cortex.ops.association import two_sided_support
from ciliary.cortex.ops.direction_process import spread_heat
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import M1Out
from ciliary.cortex.stages.m1_perception import M1
from ciliary.cortex.stages.m2_grouping import STRIDE, Sides, co_circular_sides, find_completion, find_sides
from ciliary.cortex.stages.m2_lifted import WANDER_RAD2_PER_PX, lift, lifted_sides
from ciliary.cortex.stages.retina import retina
from ciliary.tuning.benchmarks.contour_scenes import Junction, Probe

TODAY, ON_LIFT, HEAT, PROCESS = "association field", "the same, on the lift", "heat, on the lift", "direction process"
#: Arms that leave a junction, and its name.
ARMS = {2: "L", 3: "T", 4: "X"}
_UNRUN_GAIN = 4.0  # boundary F on 16 training photographs, of 1 and 4
_APART_RAD = math.radians(25)  # two arms that are closer are one
_THRESHOLDS = np.arange(0.1, 0.8, 0.025)


def _on_lift(m1: M1Out, oriented: Tensor, seeding: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
    del oriented
    return two_sided_support(lift(m1, theta) * seeding, theta["association_reach_px"], stride=STRIDE)


def _heat(m1: M1Out, oriented: Tensor, seeding: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
    del oriented
    length = theta["association_reach_px"]
    wander = torch.full_like(length, WANDER_RAD2_PER_PX)
    found = spread_heat(lift(m1, theta) * seeding, length, wander, stride=STRIDE).clamp_min(0)
    return found, found


def unrun(m1: M1Out, oriented: Tensor, seeding: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
    """The lift as it is, which nothing runs along: what is sharp in it, but no gap closed; :data:`Sides`."""
    del oriented
    found = _UNRUN_GAIN * lift(m1, theta) * seeding
    return found, found


#: Who completes, by name. The heat of Citti & Sarti has no heading: both sides are the same to it.
FIELDS: Mapping[str, Sides] = {TODAY: co_circular_sides, ON_LIFT: _on_lift, HEAT: _heat, PROCESS: lifted_sides}


def look(pictures: Tensor) -> tuple[M1Out, Theta]:
    """M1 of pictures (B, 3, H, W) at the default setting, and that setting."""
    theta = default_theta(len(pictures))
    with torch.no_grad():
        return M1()(retina(pictures, theta), Cues(torch.zeros_like(pictures[:, :1]), None), theta), theta


def completed_at(probes: Sequence[Probe], sides: Sides) -> float:
    """Mean completion at the places that are asked for, within a pixel of each."""
    m1, theta = look(torch.stack([probe.picture for probe in probes]))
    with torch.no_grad():
        found = F.avg_pool2d(find_completion(m1, theta, sides)[1], 3, 1, 1)
    read = [_read(one[None], probe.places).mean() for one, probe in zip(found, probes, strict=True)]
    return float(torch.stack(read).mean())


def arms(junctions: Sequence[Junction], sides: Sides) -> Tensor:
    """(B, 2 O'): what each junction's place is told from each direction, pi / O' apart, the largest 1."""
    m1, theta = look(torch.stack([one.picture for one in junctions]))
    with torch.no_grad():
        told = torch.cat(find_sides(m1, theta, sides)[1], 1)
    told = F.interpolate(told, scale_factor=STRIDE, mode="bilinear", align_corners=False)
    read = [_read(one[None], torch.tensor([j.place]))[:, 0] for one, j in zip(told, junctions, strict=True)]
    profile = torch.stack(read)
    return profile / profile.amax(1, keepdim=True).clamp_min(1e-12)


def count_arms(profile: Tensor, least: float) -> list[int]:
    """How many directions of (B, D) are told more than their neighbours within 25 degrees, and more than ``least``."""
    n_directions = profile.shape[1]
    is_peak = profile > least
    for k in range(1, max(1, round(n_directions * _APART_RAD / (2 * math.pi))) + 1):
        is_peak &= (profile > profile.roll(k, 1)) & (profile >= profile.roll(-k, 1))
    return [int(n) for n in is_peak.sum(1)]


def named_rightly(junctions: Sequence[Junction], profile: Tensor, least: float) -> np.ndarray:
    """(B,) bool."""
    counted = count_arms(profile, least)
    return np.array([ARMS.get(n, "") == one.name for n, one in zip(counted, junctions, strict=True)])


def choose_least(junctions: Sequence[Junction], profile: Tensor) -> float:
    """Of 28 thresholds the one, the middle one of equals, that names most of them rightly."""
    shares = np.array([named_rightly(junctions, profile, float(least)).mean() for least in _THRESHOLDS])
    best = np.flatnonzero(shares == shares.max())
    return float(_THRESHOLDS[best[len(best) // 2]])


def _read(field: Tensor, places: Tensor) -> Tensor:
    """(C, N) of one field (1, C, H, W) at (N, 2) places (y, x)."""
    size = torch.tensor([field.shape[-1] - 1, field.shape[-2] - 1])
    grid = (places.flip(1) / size * 2 - 1)[None, None]
    return F.grid_sample(field, grid, align_corners=True)[0, :, 0]
