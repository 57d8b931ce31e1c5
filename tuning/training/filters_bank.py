"""From units to complex cells: which units V1 takes, and the gain at which they answer as log-Gabors do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ciliary.cortex.neurons.gabor import Gabor
from ciliary.cortex.neurons.tuning import Tuning, centre_px
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.stages.m1_grown import GrownV1
from ciliary.cortex.stages.m1_perception import v1_of_bank
from ciliary.cortex.stages.retina import retina

#: Units of a complex cell. Of 1, 2 and 4, two covered BSDS500's training photographs best.
N_POOLED = 2
_WORST_R2 = 0.7  # of the Gabor fit: below it a unit is none that M1 uses


@dataclass(frozen=True, eq=False)
class Units:
    """Units that can be pooled."""

    fields: Tensor  # (N, P, Q) on the image
    tuning: Tuning
    quality: Tensor  # (N,) in [0, 1]; 0: not used


def as_units(fields: Tensor, tuned: Tuning, gabors: Sequence[Gabor]) -> Units:
    """Units whose quality is how far their field is one Gabor function, and 0 where they are no band-pass."""
    r2 = torch.tensor([one.r2 for one in gabors])
    return Units(fields, tuned, ((r2 - _WORST_R2) / (1 - _WORST_R2)).clamp(0, 1) * tuned.is_band_pass)


def pool(units: Units, *, n_pooled: int = N_POOLED) -> GrownV1:
    """Complex cells of some units; their gains are 1.

    A cell takes the units that are best, by their quality and by how near they are to the channel's orientation and to
    the frequency that units prefer on the whole.

    Raises:
        ValueError: too few units are of use.
    """
    tuned, quality = units.tuning, units.quality
    if int((quality > 0).sum()) < n_pooled * N_ORIENTATIONS:
        raise ValueError(
            f"expected {n_pooled * N_ORIENTATIONS} units or more that are like Gabor functions and band-pass, got "
            f"{int((quality > 0).sum())}; grow more of them (--units), or for longer (--steps)"
        )
    octave = torch.log2(tuned.frequency_cpp)
    apart = (octave - (quality * octave).sum() / quality.sum()) / 0.4
    step = math.pi / N_ORIENTATIONS
    turn = tuned.orientation_rad - step * torch.arange(N_ORIENTATIONS)[:, None]
    turn = torch.remainder(turn + math.pi / 2, math.pi) - math.pi / 2
    score = quality * torch.exp(-0.5 * (turn / (step / 2)).square() - 0.5 * apart.square())
    chosen = score.topk(n_pooled, 1).indices
    made = GrownV1((N_ORIENTATIONS, n_pooled, *units.fields.shape[1:]))
    fields = centred(units.fields[chosen.flatten()])
    fields = fields / fields.flatten(1).norm(dim=1).view(-1, 1, 1)
    made.fields.copy_(fields.unflatten(0, (N_ORIENTATIONS, n_pooled)))
    made.wavelength_px.fill_(float(torch.exp2(-octave[chosen].mean())))
    made.bandwidth_octaves.fill_(float(tuned.bandwidth_octaves[chosen].median()))
    return made


def centred(fields: Tensor) -> Tensor:
    """Fields (N, P, Q) moved, by parts of a pixel, so that their squared weights are about the middle; 0 comes in.

    A unit stands for its like at every place, wherever in the patch it happened to grow.
    """
    p, q = fields.shape[-2:]
    shift = (torch.tensor([p, q]) - 1) / 2 - centre_px(fields)
    spectrum = torch.fft.rfft2(fields, s=(2 * p, 2 * q))
    fy, fx = torch.fft.fftfreq(2 * p)[:, None], torch.fft.rfftfreq(2 * q)
    phase = -2 * math.pi * (shift[:, :1, None] * fy + shift[:, 1:, None] * fx)
    moved: Tensor = torch.fft.irfft2(spectrum * torch.polar(torch.ones_like(phase), phase), s=(2 * p, 2 * q))
    return moved[:, :p, :q]


@torch.no_grad()
def calibrate(v1: GrownV1, images: Sequence[Tensor]) -> GrownV1:
    """Set each cell's gain so that its mean energy over photographs (3, H, W) is that of the log-Gabor in its place."""
    theta = default_theta(1)
    v1.gain.fill_(1)
    totals = []
    for image in images:
        seen = retina(image[None], theta)
        both = [
            torch.cat([e.mean((0, 3, 4)), c.mean((0, 1, 3, 4))[None]])
            for e, c in (f(seen, theta) for f in (v1_of_bank, v1))
        ]
        totals.append(torch.stack(both))
    theirs, ours = torch.stack(totals).mean(0)
    v1.gain.copy_(theirs / ours.clamp_min(1e-12))
    return v1
