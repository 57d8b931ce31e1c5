"""What objectives share that recommend, or compare with, settings drawn around the defaults."""

from __future__ import annotations

import numpy as np

from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.objective.panel import draw_panel
from ciliary.envs.objective.terms import Objective, ObjectiveSettings


class PanelObjective(Objective):
    """Judges without views; knows how to draw a panel.

    Args:
        n_members: settings in the panel, >= 2; a power of two keeps them evenly spread.
        spread: standard deviation in u of the panel around the defaults, > 0.
        centre_u: (P,) the defaults; None: those of the perceiver's table.
        settings: of the raw terms, which stand beside the total.
    """

    n_views = 0

    def __init__(
        self,
        *,
        n_members: int = 32,
        spread: float = 0.25,
        centre_u: np.ndarray | None = None,
        settings: ObjectiveSettings | None = None,
    ) -> None:
        super().__init__(settings)
        if n_members < 2 or spread <= 0:
            raise ValueError(f"expected n_members >= 2 and spread > 0, got {n_members} and {spread}")
        self.n_members, self.spread, self.centre_u = n_members, spread, centre_u

    def panel_u(self, perceiver: Perceiver) -> np.ndarray:
        """The panel's settings (K, P), see :func:`~ciliary.envs.objective.panel.draw_panel`."""
        return draw_panel(perceiver, self.n_members, spread=self.spread, centre_u=self.centre_u)
