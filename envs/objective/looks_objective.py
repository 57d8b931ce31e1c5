"""The objective of an episode whose answer is what all looks come to: nothing but the looks themselves."""

from __future__ import annotations

import numpy as np

from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.objective.panel import draw_panel
from ciliary.envs.objective.terms import Objective, ObjectiveSettings


class LooksObjective(Objective):
    """Judges a look by no views and no panel; what it is worth is known when all have looked.

    The ``total`` of a look, for searches that need one while they look, is the raw terms' that take no views. When
    looking is over, :func:`ciliary.agents.episode.run_episode` puts in its place how far the look and all looks
    disagree. It recommends looks around the defaults, in the order of a Sobol sequence.

    Args:
        n_members: looks that are recommended, the defaults first.
        spread: their standard deviation in u.
        centre_u: (P,) the defaults; None: those of the perceiver's table.
        settings: of the raw terms.
    """

    name = "looks"
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
        self.n_members, self.spread, self.centre_u = n_members, spread, centre_u

    def check(self, perceiver: Perceiver) -> None:
        """As any objective; the panel is drawn here, since it depends on the perceiver alone."""
        super().check(perceiver)
        self.starts = draw_panel(perceiver, self.n_members, spread=self.spread, centre_u=self.centre_u)
