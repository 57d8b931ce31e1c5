"""The looks of one episode: what every setting that was tried saw of the image, and what they come to together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.integration.looks import Looks, join_looks
from ciliary.cortex.integration.percept import IntegratedPercept, integrate
from ciliary.cortex.integration.similarity import likeness
from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.batch import images_per_pass, take_cues

#: What is known of a look when it is added: how far the percept of all looks so far and these agree, how far the look
#: disagrees with the percept before it, and how much it changed that. Of the first look: 1, 0, 1.
LOOK_TERMS = ("agreement", "surprise", "change")

_SAME = 1e-4  # difference in u under which two settings are one


@torch.no_grad()
def look_at(perceiver: Perceiver, images: Tensor, u: Tensor, cues: Any) -> Looks:
    """The looks of K settings (K, P) at B images (B, 3, H, W), in passes of bounded memory: (B, K, H, W).

    ``cues`` are the perceiver's of the images; they, the images and the looks lie where the perceiver does.
    """
    index = torch.arange(len(images), device=images.device).repeat(len(u))
    settings = u.to(images.device).repeat_interleave(len(images), 0)
    parts: list[Looks] = []
    n = images_per_pass(images.shape[-2], images.shape[-1])
    for rows, part in zip(index.split(n), settings.split(n), strict=True):
        parts.append(Looks.of(perceiver(images[rows], perceiver.table.from_unit(part), take_cues(cues, rows))))
    segments, boundary = (
        torch.cat([getattr(one, name) for one in parts]).view(len(u), len(images), *images.shape[-2:]).transpose(0, 1)
        for name in ("segments", "boundary")
    )
    return Looks(segments, boundary, boundary.new_ones(segments.shape[:2]))


class LookBook:
    """Looks at one image, each setting once, in the order they were taken."""

    def __init__(self) -> None:
        self._u: list[np.ndarray] = []
        self._looks: Looks | None = None
        self._percept: IntegratedPercept | None = None
        self._terms: list[dict[str, float]] = []

    def __len__(self) -> int:
        return len(self._u)

    def __contains__(self, setting: object) -> bool:
        return self._find(np.asarray(setting)) is not None

    def _find(self, setting: np.ndarray) -> int | None:
        """The look at a setting (P,), or at one that differs by rounding: a step does not arrive to the last digit."""
        if not self._u:
            return None
        is_same = np.abs(np.stack(self._u) - setting).max(1) < _SAME
        return int(is_same.argmax()) if is_same.any() else None

    @property
    def looks(self) -> Looks:
        """All looks (1, K, H, W).

        Raises:
            ValueError: none was taken.
        """
        if self._looks is None:
            raise ValueError("no look was taken yet; evaluate a setting first")
        return self._looks

    @property
    def percept(self) -> IntegratedPercept:
        """What the looks come to."""
        if self._percept is None:
            self._percept = integrate(self.looks)
        return self._percept

    def add(self, u: np.ndarray, looks: Looks) -> dict[str, np.ndarray]:
        """Take N looks (1, N, H, W) at settings u (N, P); returns :data:`LOOK_TERMS` of each, (N,).

        Looks taken together are put together once: each is compared with the percept before all of them, and their
        agreement and change are those of all. A setting that looked before is not counted again: its terms are those
        of then.
        """
        new: list[int] = []
        n_before = len(self)
        for i, setting in enumerate(np.asarray(u, np.float32)):
            if self._find(setting) is None:
                self._u.append(setting.copy())
                new.append(i)
        if new:
            self._terms += self._take(looks.take(new))
        assert len(self._terms) == len(self) == n_before + len(new)
        rows = [self._row(setting) for setting in u]
        return {name: np.array([self._terms[row][name] for row in rows]) for name in LOOK_TERMS}

    def _row(self, setting: np.ndarray) -> int:
        row = self._find(np.asarray(setting))
        if row is None:
            raise KeyError("no look was taken at this setting")
        return row

    def disagreement(self, u: np.ndarray) -> np.ndarray:
        """(N,) how far the look at each setting (N, P) and all looks, itself among them, disagree on average.

        Raises:
            KeyError: a setting at which no look was taken.
        """
        segments = self.looks.segments[0]
        rows = [self._row(setting) for setting in u]
        found = {row: float(likeness(segments[row].expand_as(segments), segments).mean()) for row in set(rows)}
        return 1 - np.array([found[row] for row in rows])

    def _take(self, looks: Looks) -> list[dict[str, float]]:
        before = None if self._looks is None else self.percept
        self._looks = looks if self._looks is None else join_looks([self._looks, looks])
        self._percept = None
        agreement, change, surprise = float(self.percept.agreement), 1.0, [0.0] * len(looks)
        if before is not None:
            maps = torch.cat([self.percept.segments[None], looks.segments], 1)[0]
            change, *surprise = (1 - likeness(maps, before.segments.expand_as(maps))).tolist()
        return [{"agreement": agreement, "surprise": one, "change": change} for one in surprise]
