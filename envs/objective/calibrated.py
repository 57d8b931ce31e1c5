"""The calibrated objective: 1 minus the score that people would give the percept, as a calibration predicts it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex import Cortex, Cues, from_unit
from ciliary.envs.batch import images_per_pass
from ciliary.envs.objective.calibration import SHIPPED, Calibration, load_calibration
from ciliary.envs.objective.features import percept_features
from ciliary.envs.objective.recognition import RECOGNITION_WEIGHTS
from ciliary.envs.objective.reference import Reference
from ciliary.envs.objective.terms import Objective, ObjectiveSettings, coarse_masks

#: Objectives by name that need no calibration.
UNCALIBRATED = ("raw", "recognition")
AGREEMENT_STRIDE = 4  # percepts are compared with the panel's at a quarter of the image's resolution


@dataclass(frozen=True)
class Panel:
    """What K settings perceive in each of E images, and how well each is thought to do there. ``panel[i]`` is some."""

    masks: Tensor  # (E, K, S, H/4, W/4), sharpened
    promise: Tensor  # (E, K), higher is better

    def __getitem__(self, index: int | Tensor | slice) -> Panel:
        rows = torch.arange(len(self.masks))[index].reshape(-1)
        return Panel(self.masks[rows], self.promise[rows])


class CalibratedObjective(Objective):
    """``total`` is 1 - the predicted score; the raw terms measured, their weighted sum ``raw_total`` and
    ``predicted_score`` stand beside it. Without views the terms about views are missing, in ``raw_total`` too.
    """

    name = "calibrated"

    def __init__(self, calibration: Calibration | None = None, settings: ObjectiveSettings | None = None):
        super().__init__(settings)
        self.calibration = load_calibration() if calibration is None else calibration
        self.n_views = self.calibration.n_views
        self.starts = self.calibration.starts
        self.min_gain = self.calibration.min_gain

    def make_panel(self, cortex: Cortex, images: Tensor, cues: Cues, reference: Reference) -> Panel | None:
        """What the panel's settings perceive in E images (E, 3, H, W) of these references; None without a panel.

        The promise of a member is its predicted score, or where that would take views, its :func:`consensus`.
        """
        u = torch.as_tensor(self.calibration.panel, dtype=torch.float32)
        if len(u) == 0:
            return None
        index, setting = torch.arange(len(images)).repeat_interleave(len(u)), u.repeat(len(images), 1)
        needs_views = any(name in ("term.stability", "term.consistency") for name in self.calibration.names)
        n_at_once = images_per_pass(images.shape[-2], images.shape[-1])
        parts: list[Tensor] = []
        inputs: list[dict[str, Tensor]] = []
        with torch.no_grad():
            for rows, part in zip(index.split(n_at_once), setting.split(n_at_once), strict=True):
                percept = cortex(images[rows], from_unit(part), cues[rows])
                own = coarse_masks(percept, self.settings)
                parts.append(for_agreement(own))
                if not needs_views:
                    terms = self.own_terms(own, percept.m1.energy, reference[rows])
                    inputs.append(_inputs(terms, own, reference[rows], part))
            masks = torch.cat(parts).unflatten(0, (len(images), len(u)))
            covers = cover_each_other(masks)
            if needs_views:
                return Panel(masks, consensus(covers))
            columns = {name: torch.cat([x[name] for x in inputs]) for name in inputs[0]}
            columns |= _agreement(*(x.flatten(0, 1) for x in covers))
            return Panel(masks, self.calibration.predict(columns).view(len(images), len(u)))

    def starts_on(self, panel: Panel | None) -> np.ndarray | None:
        """The panel's settings, the most promising first; no cortex is asked again."""
        if panel is None:
            return self.starts
        return self.calibration.panel[panel.promise[0].argsort(descending=True, stable=True).numpy()]

    def judge(
        self, terms: dict[str, Tensor], masks: Tensor, reference: Reference, u: Tensor | None, panel: Panel | None
    ) -> dict[str, Tensor]:
        """The terms with the prediction in them; ``u`` (N, P) and the panels of the N images are needed."""
        if u is None:
            raise ValueError("the calibrated objective needs the settings u of the percepts")
        inputs = _inputs(terms, masks, reference, u)
        if panel is not None:
            inputs |= panel_agreement(masks, panel.masks)
        score = self.calibration.predict(inputs)
        return terms | {"total": 1 - score, "raw_total": terms["total"], "predicted_score": score}


def _inputs(terms: dict[str, Tensor], masks: Tensor, reference: Reference, u: Tensor) -> dict[str, Tensor]:
    """What a calibration may ask for, but for the panel; each (N,)."""
    features = percept_features(masks, reference, u)
    return {f"term.{k}": x for k, x in terms.items()} | {f"feature.{k}": x for k, x in features.items()}


def for_agreement(masks: Tensor) -> Tensor:
    """Half-resolution masks at the resolution percepts are compared at."""
    return F.avg_pool2d(masks, AGREEMENT_STRIDE // 2)


def panel_agreement(masks: Tensor, panel: Tensor) -> dict[str, Tensor]:
    """How well percepts and the members of a panel cover each other, (N,) each.

    ``agreement.<k>``: how well masks (N, S, h, w) cover the segments of member k of the panel (N, K, T, h', w'): the
    mean over its segments, weighted by area, of the best intersection over union (Arbelaez et al. 2011, for soft
    masks). That is how a person's map is compared with a percept; the member stands in for the person.
    ``covered.<k>``: how well member k covers the segments of the masks.
    """
    return _agreement(*_cover(for_agreement(masks), panel))


def _agreement(covers: Tensor, is_covered: Tensor) -> dict[str, Tensor]:
    """The columns of (N, K) by the names of :func:`panel_agreement`."""
    members = range(covers.shape[1])
    return {f"agreement.{k:02d}": covers[:, k] for k in members} | {
        f"covered.{k:02d}": is_covered[:, k] for k in members
    }


def consensus(covers: tuple[Tensor, Tensor]) -> Tensor:
    """How far each member of E panels and the other members cover each other, on average: 2 x (E, K, K) to (E, K)."""
    pairs = torch.stack(covers).mean(0)
    itself = pairs.diagonal(dim1=1, dim2=2)
    return (pairs.sum(2) - itself) / max(1, pairs.shape[1] - 1)


def cover_each_other(panel: Tensor) -> tuple[Tensor, Tensor]:
    """Panels (E, K, S, h, w): how well each member covers each other one, and is covered by it, (E, K, K)."""
    each = [_cover(panel[:, k], panel) for k in range(panel.shape[1])]  # all at once would not fit in the cache
    return torch.stack([x for x, _ in each], 1), torch.stack([x for _, x in each], 1)


def _cover(masks: Tensor, panel: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (N, S, h, w) and panels (N, K, T, h, w): how well the former cover the latter, and the reverse, (N, K)."""
    p, q = masks.flatten(2), panel.flatten(3)
    shared = torch.bmm(p, q.flatten(1, 2).transpose(1, 2)).unflatten(2, q.shape[1:3])  # (N, S, K, T)
    area_p, area_q = p.sum(2), q.sum(3)
    overlap = shared / (area_p[:, :, None, None] + area_q[:, None] - shared).clamp_min(1e-6)
    n_px = p.shape[2]
    return (overlap.amax(1) * area_q).sum(2) / n_px, (overlap.amax(3) * area_p[:, :, None]).sum(1) / n_px


def objective_mark(name: str | Path) -> str:
    """What numbers depend on: ``raw``, ``recognition``, or ``calibrated`` and 16 hex digits of the calibration.

    Raises:
        FileNotFoundError: no such file.
    """
    if name in UNCALIBRATED:
        return str(name)
    path = SHIPPED if name == "calibrated" else Path(name)
    return f"calibrated {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def make_objective(name: str | Path = "raw", settings: ObjectiveSettings | None = None) -> Objective:
    """``raw``, ``recognition`` (the raw terms and :data:`~ciliary.envs.objective.recognition.RECOGNITION_WEIGHTS`), ``calibrated`` (with
    the calibration that comes with the project), or the path of a calibration.

    Raises:
        FileNotFoundError, ValueError: as :func:`ciliary.envs.objective.calibration.load_calibration`.
    """
    if name == "raw":
        return Objective(settings)
    if name == "recognition":
        weights: dict[str, Any] = dict(RECOGNITION_WEIGHTS)
        return Objective(replace(settings or ObjectiveSettings(), **weights))
    return CalibratedObjective(load_calibration(None if name == "calibrated" else name), settings)
