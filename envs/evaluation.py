"""What a population of settings was worth: the one answer of every ``evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cortex import Percept


@dataclass(frozen=True)
class Evaluation:
    """Losses of N settings on one image.

    Attributes:
        terms: by name, each (N,) float; lower is better; contains ``total``. Values may be non-finite.
        percepts: the reference percepts of the N settings (batch N), or None when they were not asked for.
    """

    terms: dict[str, np.ndarray]
    percepts: Percept | None = None

    @property
    def total(self) -> np.ndarray:
        """The total, (N,)."""
        return self.terms["total"]

    def __len__(self) -> int:
        return len(self.terms["total"])
