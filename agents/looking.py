"""Episodes whose answer is what all looks come to: when enough was looked, and whether the defaults are left for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ciliary.agents.trace import GuardDecision
from ciliary.envs.looks import LookBook


@dataclass(frozen=True)
class Looking:
    """Settings of looking.

    Attributes:
        tolerance: change of the percept by one look, 1 - likeness, that counts as none.
        patience: so many looks in a row that change nothing end it.
        min_looks: looks that are taken in any case.
        least_gain: how much better than the defaults the answer must agree with all looks to be taken for them.
        is_single: the answer is the one look that all looks agree with most, not what they come to.
    """

    tolerance: float = 0.02
    patience: int = 8
    min_looks: int = 12
    least_gain: float = 0.01
    is_single: bool = False

    def is_over(self, terms: Mapping[str, np.ndarray]) -> bool:
        """Whether the looks so far, by their ``change`` (T,), are enough."""
        change = terms.get("change", np.ones(1))
        late = change[-self.patience :]
        return len(change) >= max(self.min_looks, self.patience + 1) and bool((late < self.tolerance).all())


def decide(book: LookBook, u: np.ndarray, looking: Looking) -> tuple[np.ndarray, float, GuardDecision]:
    """How far each setting tried and all looks disagree, (T,), how far the answer does, and which is taken.

    Args:
        book: of the episode.
        u: (T, P) settings tried; row 0 the defaults.
        looking: the least gain.
    """
    each = book.disagreement(u)
    together = float(each.min()) if looking.is_single else 1 - float(book.percept.agreement)
    gain = float(each[0]) - together
    is_accepted = gain > looking.least_gain
    sign, verdict = (">", "left for it") if is_accepted else ("<=", "kept")
    what = "the best of them" if looking.is_single else "what they come to"
    reason = (
        f"{len(book)} looks disagree by {together:.3f} with {what} and by {each[0]:.3f} with the defaults: "
        f"gain {gain:.3g} {sign} least gain {looking.least_gain:.3g}, defaults {verdict}."
    )
    return each, together, GuardDecision(is_accepted, gain, 0.0, reason)
