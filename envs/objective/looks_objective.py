"""The objective of an episode whose answer is what all looks come to: nothing but the looks themselves."""

from __future__ import annotations

from typing import Any

from ciliary.cortex.perceiver import Perceiver
from ciliary.envs.objective.chosen_looks import ChosenLooks, shipped_looks
from ciliary.envs.objective.panel_objective import PanelObjective


class LooksObjective(PanelObjective):
    """Judges a look by no views and no panel; what it is worth is known when all have looked.

    The ``total`` of a look, for searches that need one while they look, is the raw terms' that take no views. When
    looking is over, :func:`ciliary.agents.episode.run_episode` puts in its place how far the look and all looks
    disagree. It recommends the looks that were chosen for the perceiver; where none were, looks around the defaults in
    the order of a Sobol sequence.

    Args:
        chosen: looks to recommend first; None: those that come along for the perceiver.
        panel: see the parent.
    """

    name = "looks"

    def __init__(self, *, chosen: ChosenLooks | None = None, **panel: Any) -> None:
        super().__init__(**panel)
        self.chosen = chosen

    def check(self, perceiver: Perceiver) -> None:
        """As any objective; the panel is drawn here, since it depends on the perceiver alone."""
        super().check(perceiver)
        chosen = self.chosen or shipped_looks(perceiver.name)
        self.starts = self.panel_u(perceiver) if chosen is None else chosen.around(perceiver.table, self.centre_u)
