"""What every metric declares of itself, whatever it is a function of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

Numbers = TypeVar("Numbers", float, np.ndarray)
Given = TypeVar("Given")


@dataclass(frozen=True)
class Metric(Generic[Given]):
    """A number that compares what a machine found with what people did.

    Attributes:
        name: of the column, ``score.<name>``, and of the field of a row.
        function: of what is compared.
        higher_is_better: which way round it is.
        title: what a page calls it.
        unit: of its values; "1" for a share.
    """

    name: str
    function: Callable[[Given], float]
    higher_is_better: bool
    title: str
    unit: str = "1"

    def oriented(self, value: Numbers) -> Numbers:
        """The value turned so that higher is better, as tables keep it; turned twice it is itself again."""
        return value if self.higher_is_better else -value

    @property
    def described(self) -> str:
        """For the text of a page: ``VoI in bits, lower is better``."""
        words = self.title if self.unit == "1" else f"{self.title} in {self.unit}"
        return f"{words}, {'higher' if self.higher_is_better else 'lower'} is better"
