"""A calibrated objective that perceives the panel of an image once, however many episodes look at that image."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from torch import Tensor

from ciliary.cortex import Perceiver
from ciliary.cortex.options import CORTEX
from ciliary.envs.objective.calibrated import CalibratedObjective
from ciliary.envs.objective.calibration import Calibration
from ciliary.envs.objective.make import make_objective
from ciliary.envs.objective.panel import Panel
from ciliary.envs.objective.reference import Reference
from ciliary.envs.objective.terms import Objective


class SharedPanels(CalibratedObjective):
    """As its parent; panels of the latest images are kept. For one cortex: the key is the image alone.

    Args:
        calibration: see the parent.
        n_kept: panels to keep, >= 1, each of some 0.6 MB at 64 x 96 px.

    Attributes:
        spared_seconds: what the panels that were not perceived again had taken when they were; to be added to the
            clock of whoever was spared.
    """

    def __init__(self, calibration: Calibration, *, n_kept: int = 3):
        super().__init__(calibration)
        self.n_kept = n_kept
        self.spared_seconds = 0.0
        self._kept: OrderedDict[bytes, tuple[Panel | None, float]] = OrderedDict()

    def make_panel(self, perceiver: Perceiver, images: Tensor, cues: Any, reference: Reference) -> Panel | None:
        """As its parent, from memory where these images (E, 3, H, W) were seen before."""
        key = hashlib.sha256(repr(tuple(images.shape)).encode() + images.contiguous().cpu().numpy().tobytes()).digest()
        if key in self._kept:
            self._kept.move_to_end(key)
            panel, seconds = self._kept[key]
            self.spared_seconds += seconds
            return panel
        start = time.perf_counter()
        panel = super().make_panel(perceiver, images, cues, reference)
        self._kept[key] = (panel, time.perf_counter() - start)
        while len(self._kept) > self.n_kept:
            self._kept.popitem(last=False)
        return panel


def shared_objective(name: str | Path, *, perceiver: str = CORTEX, n_kept: int = 3) -> Objective:
    """As :func:`ciliary.envs.objective.make.make_objective`; a calibrated objective keeps its latest panels."""
    objective = make_objective(name, perceiver=perceiver)
    if isinstance(objective, CalibratedObjective):
        return SharedPanels(objective.calibration, n_kept=n_kept)
    return objective
