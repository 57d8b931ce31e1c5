"""The looks of one episode: what every setting that was tried saw of the image, and what they come to together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ciliary.cortex.integration.looks import Looks, join_looks
from ciliary.cortex.integration.percept import IntegratedPercept, integrate
from ciliary.cortex.integration.similarity import likeness

#: What is known of a look when it is added: how far the percept of all looks so far and these agree, how far the look
#: disagrees with the percept before it, and how much it changed that. Of the first look: 1, 0, 1.
LOOK_TERMS = ("agreement", "surprise", "change")


class LookBook:
    """Looks at one image, each setting once, in the order they were taken."""

    def __init__(self) -> None:
        self._row: dict[bytes, int] = {}
        self._looks: Looks | None = None
        self._percept: IntegratedPercept | None = None
        self._terms: list[dict[str, float]] = []

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, setting: object) -> bool:
        return _key(setting) in self._row

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

        A setting that looked before is not counted again: its terms are those of then.
        """
        rows = []
        for i, setting in enumerate(u):
            key = _key(setting)
            if key not in self._row:
                self._terms.append(self._take(looks.take([i])))
                self._row[key] = len(self._row)
            rows.append(self._row[key])
        return {name: np.array([self._terms[row][name] for row in rows]) for name in LOOK_TERMS}

    def disagreement(self, u: np.ndarray) -> np.ndarray:
        """(N,) how far the look at each setting (N, P) and all looks, itself among them, disagree on average.

        Raises:
            KeyError: a setting at which no look was taken.
        """
        segments = self.looks.segments[0]
        rows = [self._row[_key(setting)] for setting in u]
        found = {row: float(likeness(segments[row].expand_as(segments), segments).mean()) for row in set(rows)}
        return 1 - np.array([found[row] for row in rows])

    def _take(self, look: Looks) -> dict[str, float]:
        before = None if self._looks is None else self.percept
        self._looks = look if self._looks is None else join_looks([self._looks, look])
        self._percept = None
        if before is None:
            return {"agreement": 1.0, "surprise": 0.0, "change": 1.0}
        pair = torch.stack([look.segments[0, 0], self.percept.segments[0]])
        surprise, change = (1 - likeness(pair, before.segments.expand_as(pair))).tolist()
        return {"agreement": float(self.percept.agreement), "surprise": surprise, "change": change}


def _key(setting: Any) -> bytes:
    return np.asarray(setting, np.float32).tobytes()
