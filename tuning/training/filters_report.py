"""What filters are worth: tuning beside log-Gabors and macaque V1, how well and how sparsely they code patches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import orthogonal_mp_gram
from torch import Tensor

from ciliary.cortex import Cortex
from ciliary.cortex.neurons.gabor import Gabor, fit_gabors
from ciliary.cortex.neurons.sparse import lca, unit_length
from ciliary.cortex.neurons.tuning import Tuning, tuning
from ciliary.cortex.ops.gini import gini
from ciliary.cortex.ops.loggabor import log_gabor
from ciliary.cortex.parameters import PARAMETERS, default_theta
from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.plot.grown import MACAQUE_HALF_DEG, MACAQUE_OCTAVES, shape_median
from ciliary.cortex.stages.m1_grown import GrownM1
from ciliary.cortex.stages.m1_perception import N_SCALES
from ciliary.envs.data.labelled import read_bsds
from ciliary.envs.data.sources import from_array
from ciliary.envs.metrics.regions import People, region_covering
from ciliary.envs.metrics.statistics import bootstrap_mean, paired_difference
from ciliary.tuning.runs.tables import Table
from ciliary.tuning.training.filters import Grown

N_ACTIVE = 10  # units that may answer a patch, where rules are compared
_N_MEASURED = 1000  # patches held out that codes are measured on
_STRIDE = 2  # of the pixels of people's maps that are scored
_DRAWN_PX = 41  # of a log-Gabor
NONE = "–"


@dataclass(frozen=True, eq=False)
class Shown:
    """Units and what gratings and Gabor functions tell of them."""

    name: str
    tuning: Tuning
    gabors: Sequence[Gabor]


def log_gabor_fields(side_px: int, scale: int, at_px: tuple[float, float] | None = None) -> Tensor:
    """Fields (2 O, P, P) on ON less OFF of the log-Gabors of a scale at the defaults, even and odd, at a place."""
    theta, n = default_theta(1), 128
    y, x = ((side_px - 1) / 2,) * 2 if at_px is None else at_px
    f = torch.fft.fftfreq(n)
    shift = torch.exp(torch.complex(torch.zeros(n, n), -2 * math.pi * (y * f[:, None] + x * f)))
    response = log_gabor(
        shift[None, None],
        theta["wavelength_px"] * 2**scale,
        theta["bandwidth_octaves"],
        n_orientations=N_ORIENTATIONS,
    )[0, 0]
    return torch.cat([response.real, response.imag])[:, :side_px, :side_px]


def log_gabor_atoms(side_px: int) -> Tensor:
    """Fields (K, P, P) of log-Gabors that cover a patch: of each scale, on a grid of its own wavelength."""
    finest, found = PARAMETERS["wavelength_px"].default, []
    for scale in range(N_SCALES):
        n = max(1, round(side_px / (finest * 2**scale)))
        places = (np.arange(n) + 0.5) * side_px / n - 0.5
        found += [log_gabor_fields(side_px, scale, (y, x)) for y in places for x in places]
    return torch.cat(found)


def show(name: str, fields: Tensor) -> Shown:
    """Measure fields (N, P, Q) on the image."""
    tuned = tuning(fields)
    return Shown(name, tuned, fit_gabors(fields, tuned))


def show_log_gabors(through: Callable[[Tensor], Tensor]) -> Shown:
    """The even log-Gabors of all scales, seen through the retina."""
    fields = torch.cat([log_gabor_fields(_DRAWN_PX, scale)[:N_ORIENTATIONS] for scale in range(N_SCALES)])
    return show("log-Gabor", through(fields))


def tuning_table(shown: Sequence[Shown]) -> Table:
    """Medians, with the middle half in brackets."""
    names = ("units", "units of", "bandwidth, octaves", "half-bandwidth, °", "circular variance", "n_x", "n_y",
             "Gabor fit R²", "band-pass", "radius, px")  # fmt: skip
    rows = [_tuning_row(one) for one in shown]
    macaque = ("macaque V1", NONE, f"{MACAQUE_OCTAVES:g}", f"{MACAQUE_HALF_DEG:g}", "0.6", f"{shape_median(0):.2f}",
               f"{shape_median(1):.2f}", NONE, NONE, NONE)  # fmt: skip
    note = (
        "Medians, the middle half in brackets, of fields through the retina. Macaque: De Valois, Albrecht & Thorell "
        "1982 (octaves), De Valois, Yund & Hepler 1982 (half of the median full width at half amplitude), Ringach, "
        "Shapley & Hawken 2002 (circular variance), Ringach 2002 (n_x, n_y)."
    )
    return Table("Tuning", (names[0], "n", *names[2:]), (*rows, macaque), note=note)


def _tuning_row(one: Shown) -> tuple[str, ...]:
    t = one.tuning
    columns = (t.bandwidth_octaves, t.half_bandwidth_deg, t.circular_variance)
    shapes = [np.array([getattr(g, n) for g in one.gabors]) for n in ("n_x", "n_y", "r2")]
    cells = [_middle(c.numpy()) for c in columns] + [_middle(s) for s in shapes]
    share = f"{float(t.is_band_pass.float().mean()):.2f}"
    return (one.name, str(len(one.gabors)), *cells, share, _middle(t.radius_px.numpy()))


def _middle(values: np.ndarray) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], method="nearest")
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def code_table(name: str, grown: Grown, patches: Tensor) -> Table:
    """How well patches (N, P * P) that were not learned from are coded by ours, by log-Gabors, and by chance."""
    white = grown.whitening(patches[:_N_MEASURED])
    white = white / white.std()
    side = round(patches.shape[1] ** 0.5)
    fixed = unit_length(log_gabor_atoms(side).flatten(1) @ grown.whitening.inverse)
    noise = torch.randn(grown.weights.shape, generator=torch.Generator().manual_seed(0))
    noise = unit_length(noise @ grown.whitening.matrix)
    rows = [
        code_row(title, white, atoms)
        for title, atoms in ((name, grown.weights), ("log-Gabor", fixed), ("noise", noise))
    ]
    note = (
        f"Share of the variance of {len(white)} whitened patches held out: by the best {N_ACTIVE} units (orthogonal "
        "matching pursuit), and by all. Gini index over units of the size of linear answers, the mean over patches."
    )
    if grown.threshold is not None:
        code = lca(white, grown.weights, grown.threshold, n_steps=60)
        share = 1 - (white - code @ grown.weights).square().sum() / white.square().sum()
        note += (
            f" The units' own code (lateral inhibition): R² {float(share):.3f}, "
            f"{float((code != 0).float().sum(1).mean()):.1f} units active, Gini {float(gini(code).mean()):.3f}."
        )
    return Table("Code", ("units", "n", f"R² of {N_ACTIVE}", "R² of all", "Gini"), tuple(rows), note=note)


def code_row(name: str, white: Tensor, atoms: Tensor) -> tuple[str, ...]:
    """One line of :func:`code_table`: atoms (K, D), rows of length 1."""
    x, d = white.double().numpy(), atoms.double().numpy()
    code = orthogonal_mp_gram(d @ d.T, d @ x.T, n_nonzero_coefs=min(N_ACTIVE, len(d)))
    power = float((x**2).sum())
    few = 1 - float(((x - code.T @ d) ** 2).sum()) / power
    whole = 1 - float(((x - x @ np.linalg.pinv(d, rcond=1e-6) @ d) ** 2).sum()) / power
    return name, str(len(d)), f"{few:.3f}", f"{whole:.3f}", f"{float(gini(white @ atoms.T).mean()):.3f}"


@torch.no_grad()
def covering_table(
    name: str, stage: GrownM1, bsds: Path, *, size_px: int, on_image: Callable[[], None] = lambda: None
) -> Table:
    """Covering of BSDS500's validation photographs by the mathematical cortex, with our M1 and with its own."""
    cortices, columns = (Cortex(m1=stage), Cortex()), []
    for item in read_bsds(bsds, "val"):
        people = People.of([one[::_STRIDE, ::_STRIDE] for one in item.segmentations])
        image = from_array(item.image, item.name, size_px).image[None]
        columns.append([region_covering(one(image).labels(people.shape)[0].numpy(), people) for one in cortices])
        on_image()
    ours, theirs = np.array(columns).T
    rows = [(name, str(bootstrap_mean(ours))), ("log-Gabor", str(bootstrap_mean(theirs)))]
    rows.append(("difference", str(paired_difference(ours, theirs))))
    note = f"{len(ours)} photographs at {size_px} px, defaults, 95 % intervals over photographs (bootstrap, paired)."
    return Table("Covering", ("M1 of", "covering"), tuple(rows), note=note)
