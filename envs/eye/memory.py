"""What B eyes remember of an episode, and where it lets them expect something.

A scene at rest is remembered for good: the mosaic keeps the finest sample of every place. Of what moves the memory
ages, by what the eye itself has seen to move (:mod:`ciliary.cortex.dorsal.fixation`) and never by the truth: it is
carried along with the field, and is the less sharp the faster a place moved otherwise.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.dorsal.expectation import read_expectation
from ciliary.cortex.eye.carrying import carried
from ciliary.cortex.eye.fovea import Glance
from ciliary.cortex.eye.mosaic import Mosaic, add_glance, blank_mosaic
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.film import Moved
from ciliary.envs.eye.priority import gaze_worth

# Chosen on made-up sequences that are not the exam's: the share of the field's motion that the eye mistakes, and by how
# much a place's own motion is more than what it is sure of.
_MISTAKEN, _TIMES_SURE = 0.05, 2.0


class EyeMemory:
    """All that was seen.

    Attributes:
        mosaic: of B episodes.
        priority: (B, 1, 36, 48) in [0, 1], where looking would pay.
        unresolved: (B,) priority-weighted unresolved acuity.
    """

    mosaic: Mosaic
    priority: Tensor
    unresolved: Tensor

    def __init__(self, config: EyeConfig, n: int) -> None:
        self._config, self._n = config, n
        net = read_expectation(None if config.expectation is None else Path(config.expectation))
        # The one that comes along is shared by all: whoever wants it elsewhere takes a copy.
        self._net = net if config.lies_on.type == "cpu" else copy.deepcopy(net).to(config.lies_on)
        self._gaze: Tensor | None = None  # of the latest look, while the mosaic has it
        self._draws: Tensor | None = None  # (B, 1, h, w) deg/s that move otherwise, while something does
        self._is_begun = False

    def forget(self, rows: list[int], size_px: tuple[int, int], px_per_deg: float) -> None:
        """Nothing seen yet in some rows, of scenes of that size; in all of them if it is another size."""
        k, self._gaze = self._config.mosaic_coarse, None
        height, width = (math.ceil(side / k) for side in size_px)
        blank = blank_mosaic(self._n, (height, width), px_per_deg / k, device=self._config.lies_on)
        is_other = not self._is_begun or self.mosaic.image.shape != blank.image.shape
        if is_other or len(rows) == self._n:
            self.mosaic, self._draws, self._is_begun = blank, None, True
            return
        is_new = torch.from_numpy(np.isin(np.arange(self._n), rows)).to(blank.image.device)
        self.mosaic = _chosen(is_new, blank, self.mosaic)
        if self._draws is not None:
            self._draws = torch.where(is_new[:, None, None, None], 0, self._draws)

    def remember(self, glance: Glance, is_looking: Tensor, moved: Moved | None = None) -> None:
        """Add a glance in some rows (B,) bool, after what moved until then has aged what was seen before.

        Where no gaze has moved since the last look at scenes at rest it adds nothing but its cost.
        """
        before, gaze = self.mosaic, glance.gaze_deg
        if moved is None and self._gaze is not None and torch.equal(self._gaze, gaze):
            counts = is_looking.long()
            n_samples = before.n_samples + counts * glance.n_samples
            self.mosaic = replace(before, n_samples=n_samples, n_glances=before.n_glances + counts)
            return
        seen = add_glance(before if moved is None else self._aged(before, moved), glance)
        self.mosaic = seen if bool(is_looking.all()) else _chosen(is_looking, seen, before)
        self._gaze = gaze.clone()
        if moved is not None and self._config.motion_draws:
            old = torch.zeros_like(moved.motion.residual) if self._draws is None else self._draws
            self._draws = torch.where(is_looking[:, None, None, None], moved.motion.residual, old)
        with torch.no_grad():
            self.priority, self.unresolved = gaze_worth(
                self.mosaic,
                self._config.lattice,
                net=self._net,
                centre_exponent=self._config.centre_exponent,
                motion=self._draws,
            )

    def _aged(self, mosaic: Mosaic, moved: Moved) -> Mosaic:
        """The mosaic at the end of a look: moved as the field did, in doubt where a place moved otherwise."""
        seconds, motion = moved.seconds.view(-1, 1, 1, 1), moved.motion
        pace = motion.whole.square().sum(1, keepdim=True).sqrt()
        return carried(mosaic, motion.whole * seconds, (_TIMES_SURE * motion.residual + _MISTAKEN * pace) * seconds)


def _chosen(is_first: Tensor, first: Mosaic, second: Mosaic) -> Mosaic:
    """Rows of one mosaic or the other."""
    wide = is_first[:, None, None, None]
    return replace(
        second,
        image=torch.where(wide, first.image, second.image),
        spacing_deg=torch.where(wide, first.spacing_deg, second.spacing_deg),
        n_samples=torch.where(is_first, first.n_samples, second.n_samples),
        n_glances=torch.where(is_first, first.n_glances, second.n_glances),
    )
