"""Choosing looks as one job: look at labelled images through many settings, choose, write the file."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ciliary.cortex.glance import GlancingPerceiver
from ciliary.cortex.options import CORTEX
from ciliary.cortex.perceiver import Perceiver
from ciliary.cortex.perceivers import make_glancing, make_perceiver
from ciliary.cortex.stages.inherited import left_out
from ciliary.envs.data.disturbances import MIXED_V0
from ciliary.envs.data.labelled import LabelledSet
from ciliary.envs.looks import look_at
from ciliary.envs.metrics.regions import People
from ciliary.envs.objective.chosen_looks import ChosenLooks
from ciliary.envs.objective.panel import draw_panel
from ciliary.tuning.calibration.looks import Choice, SeenCase, choose_looks, scores_of
from ciliary.tuning.calibration.settings import CalibrateSettings
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.evaluation.case_cache import Case
from ciliary.tuning.evaluation.cases import case_seed
from ciliary.tuning.evaluation.measure import see
from ciliary.tuning.runs.files import check_writable

LEAST_IMAGES = 10
N_CANDIDATES = 64
SEVERITY = 3
_PEOPLE_STRIDE = 4  # people are asked at every so many pixels of the original: it is a race, not a result


def learn_looks(
    data: LabelledSet, settings: CalibrateSettings, *, about: dict[str, Any]
) -> tuple[ChosenLooks, Choice, list[str]]:
    """The whole job; the looks are in ``settings.out`` afterwards. Also which cases failed, one line each.

    Raises:
        ValueError: fewer than ten images, which tell nothing apart.
        OSError: there can be no file at ``settings.out``; found before anything is looked at.
    """
    check_writable(settings.out.parent)
    if len(data) < LEAST_IMAGES:
        raise ValueError(f"expected at least {LEAST_IMAGES} labelled images to choose looks on, got {len(data)}")
    seer_for = _seers(settings)
    seer = seer_for(data.names[0])
    u = draw_panel(seer, N_CANDIDATES)
    names = np.random.default_rng(settings.seed).permutation(data.names).tolist()
    cases = [case for i, name in enumerate(names) for case in _cases(name, i)]
    seen: list[SeenCase] = []
    failed: list[str] = []
    with Bar(len(cases), title="looking", unit="cases", is_quiet=settings.is_quiet) as bar:
        for case in cases:
            try:
                seen.append(_see(data, case, seer_for(case.image), u, settings))
            except (ValueError, OSError, RuntimeError) as error:
                failed.append(failure(f"{case.image} {case.disturbance}", error))
                complain("calibrate", failed[-1])
            bar.advance()
    if len(seen) < 2 * LEAST_IMAGES:
        raise ValueError(f"expected at least {2 * LEAST_IMAGES} cases to choose looks on, {len(seen)} could be seen")
    with Bar(settings.n_looks, title="choosing looks", n_done=1, is_quiet=settings.is_quiet) as bar:
        choice = choose_looks(
            scores_of(seen),
            n_cases=len(seen),
            n_candidates=len(u),
            n_looks=settings.n_looks,
            on_chosen=lambda so_far: bar.move(len(so_far.order), note=f"covering {so_far.scores[-1]:.3f}"),
        )
    told = {"n_images": len(data), "n_cases": len(seen), "n_candidates": len(u), "chosen": list(choice.order)}
    told |= {"covering": [round(score, 4) for score in choice.scores], "size_px": settings.size_px}
    looks = ChosenLooks(u[list(choice.order)], seer.table.names, seer.name, {**told, **about})
    looks.save(settings.out)
    return looks, choice, failed


def _cases(name: str, i: int) -> list[Case]:
    """The i-th image, clean and under one of the disturbances, in rotation."""
    kinds = ("none", f"{MIXED_V0[i % len(MIXED_V0)]}:{SEVERITY}")
    return [Case(name, kind, case_seed(name, kind)) for kind in kinds]


def _seers(settings: CalibrateSettings) -> Callable[[str], GlancingPerceiver]:
    """Who looks at an image of this name: what is inherited, as it was taught without that image."""
    s = settings
    whole = make_glancing(s.cortex if s.perceiver == CORTEX else s.perceiver, device=s.device)
    if s.left_out is None:
        return lambda name: whole
    kinds = [one.name.removeprefix(f"{CORTEX}-") for one in whole.perceivers]
    paths = {kind: left_out(s.left_out, kind) for kind in kinds}

    @cache
    def taught(kind: str, path: Path) -> Perceiver:
        return make_perceiver({"inherited": kind, "inherited_weights": path}, device=s.device)

    return lambda name: GlancingPerceiver([taught(kind, paths[kind][name]) for kind in kinds])


def _see(
    data: LabelledSet, case: Case, seer: GlancingPerceiver, u: np.ndarray, settings: CalibrateSettings
) -> SeenCase:
    item = data[data.names.index(case.image)]
    image = see(item, case, size_px=settings.size_px).to(seer.device)
    looks = look_at(seer, image, torch.as_tensor(u), None)
    people = People.of([one[::_PEOPLE_STRIDE, ::_PEOPLE_STRIDE] for one in item.segmentations])
    return SeenCase.of(looks, people)
