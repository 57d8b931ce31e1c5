"""What is wrong with a session's settings, found before the work."""

from __future__ import annotations

from dataclasses import replace

from ciliary.cortex.options import CORTEX
from ciliary.cortex.parameters import table_for
from ciliary.cortex.perceiver import needs
from ciliary.envs.data.disturbances import parse_disturbance
from ciliary.envs.objective.make import make_objective
from ciliary.tuning.sessions.make_env import make_controller
from ciliary.tuning.sessions.resume import check_name
from ciliary.tuning.sessions.settings import SessionSettings


def check(settings: SessionSettings) -> SessionSettings:
    """The settings with disturbances in their one spelling.

    Raises:
        ValueError, KeyError: naming what is wrong and what would be right.
    """
    check_name(settings.session_base)
    spelled = tuple(dict.fromkeys(str(parse_disturbance(text)) for text in settings.shown_as))
    settings.cortex_marks  # noqa: B018 -- says now what is missing
    settings.numbers()  # loads objects of one's own: better missed now than in the middle
    other = settings.make_other()
    if settings.is_integrated:
        table = settings.make_seer().table
    else:
        table = table_for(settings.inherited) if other is None else other.table
    table.check_names(settings.changes)
    for name, value in settings.changes.items():
        table.check_value(name, value)
    controller = make_controller(settings)
    objective = make_objective(settings.objective, perceiver=settings.name)
    if settings.name != CORTEX and settings.plays_what_comes_along:
        advice = "give --policy or search" + (", or --inherited none" if other is None else "")
        raise ValueError(f"what {settings.controller} plays was learned with the mathematical cortex; {advice}")
    if other is not None:
        objective.check(other)
        if controller.use_gradients:
            needs(other, "gradient", f"the controller {controller.name}")
    return replace(settings, disturbances=spelled)
