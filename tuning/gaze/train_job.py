"""Fit a mixture of gaze to people's fixations on one half of the photographs, and tell it on the other."""

from __future__ import annotations

import datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ciliary.cortex.cues.base import ProviderUnavailable, UnknownBackbone
from ciliary.cortex.cues.models import make_backbone
from ciliary.cortex.device import choose_device
from ciliary.cortex.dorsal.mixture import GazeMixture, mixture_text
from ciliary.envs.data.gaze import GazeSet, read_gaze
from ciliary.envs.metrics.gaze_baselines import PEOPLE_SIGMA_DEG, all_counts, centre_bias
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.evaluation.gaze_mixture import fit_mixture
from ciliary.tuning.gaze.maps import Shown, halves, maps_to_fit, maps_to_tell
from ciliary.tuning.gaze.people import LEARNED, Table, as_markdown, measure, write_table
from ciliary.tuning.gaze.settings import GazeTraining
from ciliary.tuning.runs.files import write_atomically

RIDGES = (1e-2, 1e-3)  # one is chosen inside the half that is fitted on
WEIGHTS = "gaze.json"


def run(settings: GazeTraining) -> int:
    """Fit, write and tell.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    try:
        path, table, words = train(settings)
    except UnknownBackbone as error:
        _complain(error)
        return USAGE
    except (ProviderUnavailable, ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    except KeyboardInterrupt:
        _complain("stopped; weights that were fitted stay")
        return STOPPED
    if not settings.is_quiet:
        print(f"{words}\n\n{as_markdown(table)}\n\ngaze     {path}")
    return ALL_WELL


def train(settings: GazeTraining) -> tuple[Path, Table, str]:
    """The file of weights, what they are worth on the other half, and a line of what that is of.

    Raises:
        ProviderUnavailable, ValueError, OSError: as they are.
    """
    s = settings
    gazed = read_gaze(s.people)
    there = choose_device(s.device)
    shown = Shown.of(gazed, long_side_px=s.size_px, px_per_deg=s.px_per_deg, device=there)
    indices = halves(gazed, s.n_images)
    backbone = None if s.features == "none" else make_backbone(s.features, weights=s.features_weights)
    trunk = None if backbone is None else backbone.to(there).maps
    with Bar(len(indices["choose"]), title="to fit on", unit="photographs", is_quiet=s.is_quiet) as bar:
        maps = maps_to_fit(gazed, shown, indices["choose"], trunk=trunk, on_image=bar.advance)
        counts, prior = (x.to(there) for x in _fixations(gazed.only(indices["choose"]), shown))
        l2 = choose_ridge(maps, counts, prior)
        fitted = fit_mixture(maps, counts, prior, l2=l2)
        about = {
            "people": s.people.name,
            "photographs": len(indices["choose"]),
            "fixations": int(counts.sum()),
            "l2": l2,
            "size_px": s.size_px,
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        }
        mixture = GazeMixture(fitted.weights.cpu(), fitted.prior_exponent, s.features, about)
        path = write_atomically(s.out / WEIGHTS, mixture_text(mixture).encode())
        told_on = indices["tell"]
        bar.next("to tell on", len(told_on))
        found, mixed = maps_to_tell(
            gazed, shown, told_on, mixture=mixture, trunk=trunk, with_classic=False, on_image=bar.advance
        )
        table, _ = measure(gazed, shown, {"priority": found["priority"]}, mixed, mixture, told_on, n_fixations=10)
    words = f"{len(mixture.weights) + 1} weights fitted on {len(indices['choose'])} photographs, told on {len(told_on)}"
    write_table(table, words, s.out, stem="gaze_mixture", title=f"Gaze, {LEARNED}")
    return path, table, words


def choose_ridge(maps: torch.Tensor, counts: torch.Tensor, prior: torch.Tensor) -> float:
    """The ridge whose mixture, fitted on every second photograph, tells most of the others."""
    one, other = slice(0, None, 2), slice(1, None, 2)
    share = counts[other] / counts[other].sum((1, 2), keepdim=True)
    told = {}
    for l2 in RIDGES:
        density = fit_mixture(maps[one], counts[one], prior[one], l2=l2).density(maps[other], prior[other])
        told[l2] = float((share * density.log()).sum((1, 2)).mean())
    return max(told, key=lambda l2: told[l2])


def _fixations(gazed: GazeSet, shown: Shown) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts and centre bias (N, h, w) in the cells of a mixture; the bias is of the half that is fitted on alone."""
    size = shown.mixture_cells
    counts = all_counts(gazed.fixations, photograph=shown.photograph, size=size)
    sigma = PEOPLE_SIGMA_DEG * shown.px_per_deg * size[1] / shown.photograph[1]
    prior = centre_bias(counts, sigma=sigma)
    return torch.from_numpy(counts.astype(np.float32)), torch.from_numpy(prior.astype(np.float32))


_complain = partial(complain, "train_gaze")
