"""The calibrated objective: 1 minus the score that people would give the percept, as a calibration predicts it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.options import inherited_by
from ciliary.cortex.parameters import table_for
from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.batch import images_per_pass
from ciliary.envs.objective.calibration import Calibration, load_calibration
from ciliary.envs.objective.features import percept_features
from ciliary.envs.objective.panel import (
    Panel,
    consensus,
    cover_each_other,
    for_agreement,
    named_agreement,
    panel_agreement,
)
from ciliary.envs.objective.reference import Reference
from ciliary.envs.objective.terms import Objective, ObjectiveSettings, coarse_masks, energy_of


class CalibratedObjective(Objective):
    """``total`` is 1 - the predicted score.

    The raw terms measured, their weighted sum ``raw_total`` and ``predicted_score`` stand beside it. Without views the
    terms about views are missing, in ``raw_total`` too.
    """

    name = "calibrated"

    def __init__(self, calibration: Calibration | None = None, settings: ObjectiveSettings | None = None):
        super().__init__(settings)
        self.calibration = load_calibration() if calibration is None else calibration
        self.n_views = self.calibration.n_views
        self.table = table_for(inherited_by(self.calibration.perceiver) or "none")
        self.panel_u, notes = self.table.align(self.calibration.parameters, self.calibration.panel)
        self.starts, _ = self.table.align(self.calibration.parameters, self.calibration.starts)
        self.notes = tuple(notes)
        self.min_gain = self.calibration.min_gain

    def check(self, perceiver: Perceiver) -> None:
        """Raise ``ValueError`` unless the perceiver is the one that the calibration was made for."""
        super().check(perceiver)
        self.calibration.check(perceiver.name)

    def make_panel(self, perceiver: Perceiver, images: Tensor, cues: Any, reference: Reference) -> Panel | None:
        """What the panel's settings perceive in E images (E, 3, H, W) of these references; None without a panel.

        The promise of a member is its predicted score, or where that would take views, its :func:`consensus`.
        """
        u = torch.as_tensor(self._members(perceiver), dtype=torch.float32, device=images.device)
        if len(u) == 0:
            return None
        index = torch.arange(len(images), device=images.device).repeat_interleave(len(u))
        setting = u.repeat(len(images), 1)
        needs_views = any(name in ("term.stability", "term.consistency") for name in self.calibration.names)
        n_at_once = images_per_pass(images.shape[-2], images.shape[-1])
        parts: list[Tensor] = []
        inputs: list[dict[str, Tensor]] = []
        with torch.no_grad():
            for rows, part in zip(index.split(n_at_once), setting.split(n_at_once), strict=True):
                theta = perceiver.table.from_unit(part)
                percept = perceiver(images[rows], theta, None if cues is None else cues[rows])
                own = coarse_masks(percept, self.settings)
                parts.append(for_agreement(own))
                if not needs_views:
                    terms = self.own_terms(own, energy_of(percept), reference[rows])
                    inputs.append(self._inputs(terms, own, reference[rows], part))
            masks = torch.cat(parts).unflatten(0, (len(images), len(u)))
            covers = cover_each_other(masks)
            if needs_views:
                return Panel(masks, consensus(covers))
            columns = {name: torch.cat([x[name] for x in inputs]) for name in inputs[0]}
            columns |= named_agreement(*(x.flatten(0, 1) for x in covers))
            return Panel(masks, self.calibration.predict(columns).view(len(images), len(u)))

    def _members(self, perceiver: Perceiver) -> np.ndarray:
        """The panel's settings (K, P), where what can do nothing has its default."""
        default = self.table.default_unit().numpy()
        return np.where(np.isin(self.table.names, list(perceiver.inert)), default, self.panel_u)

    def starts_on(self, panel: Panel | None) -> np.ndarray | None:
        """The panel's settings, the most promising first; no cortex is asked again."""
        if panel is None:
            return self.starts
        order = panel.promise[0].argsort(descending=True, stable=True).cpu().numpy()
        return np.asarray(self.panel_u[order])

    def judge(
        self, terms: dict[str, Tensor], masks: Tensor, reference: Reference, u: Tensor | None, panel: Panel | None
    ) -> dict[str, Tensor]:
        """The terms with the prediction in them; ``u`` (N, P) and the panels of the N images are needed."""
        if u is None:
            raise ValueError("the calibrated objective needs the settings u of the percepts")
        inputs = self._inputs(terms, masks, reference, u)
        if panel is not None:
            inputs |= panel_agreement(masks, panel.masks)
        score = self.calibration.predict(inputs)
        return terms | {"total": 1 - score, "raw_total": terms["total"], "predicted_score": score}

    def _inputs(self, terms: dict[str, Tensor], masks: Tensor, reference: Reference, u: Tensor) -> dict[str, Tensor]:
        """What a calibration may ask for, but for the panel; each (N,)."""
        features = percept_features(masks, reference, u, self.table.default_unit(1, u.device))
        return {f"term.{k}": x for k, x in terms.items()} | {f"feature.{k}": x for k, x in features.items()}
