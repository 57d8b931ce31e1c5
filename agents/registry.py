"""Controllers by name, by ``module:object``, or as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ciliary.agents.base import ControllerBase, as_controller
from ciliary.agents.controllers.gradient import GradientController
from ciliary.agents.controllers.homeostat import ReflexController
from ciliary.agents.controllers.hybrid import HybridController
from ciliary.agents.controllers.looks import DisagreementController, PanelController
from ciliary.agents.controllers.memory import MemoryController
from ciliary.agents.controllers.policy import PolicyController
from ciliary.agents.controllers.sb3 import Sb3Controller
from ciliary.agents.controllers.search import SAMPLERS, SearchController
from ciliary.agents.controllers.simple import FixedController, NormaliseController, RandomController
from ciliary.agents.eye.arbiter import settling_rule
from ciliary.agents.eye.gaze import (
    CentreController,
    GridController,
    PriorityController,
    RandomGazeController,
    ReplayController,
)
from ciliary.agents.eye.lens import HillController, SweepController
from ciliary.agents.eye.policy import EyePolicyController
from ciliary.agents.eye.pupil import (
    PupilFixedController,
    PupilHillController,
    PupilReflexController,
    PupilResponseController,
)
from ciliary.agents.eye.reflex import LensReflexController
from ciliary.agents.eye.settle import SettleController
from ciliary.agents.eye.slope import EyeGradientController, LensGradientController
from ciliary.agents.eye.together import TogetherController
from ciliary.agents.options import GONE as GONE
from ciliary.cortex.loading import did_you_mean, load_object, names_object

CONTROLLERS: Mapping[str, Callable[..., ControllerBase]] = {
    "fixed": FixedController,
    "policy": PolicyController,
    "random": RandomController,
    "normalise": NormaliseController,
    "gradient": GradientController,
    "hybrid": HybridController,
    "hybrid-cmaes": partial(HybridController, "cmaes"),
    "reflex": ReflexController,
    "memory": MemoryController,
    "panel": PanelController,
    "disagreement": DisagreementController,
    "sb3": Sb3Controller,
    "search": SearchController,
    **{name: partial(SearchController, name) for name in SAMPLERS},
}

#: Controllers of an eye's muscles: for ``Ciliary/Gaze-v0``, ``Ciliary/Focus-v0`` and ``Ciliary/Eye-v0`` only.
EYE_CONTROLLERS: Mapping[str, Callable[..., ControllerBase]] = {
    "gaze-centre": CentreController,
    "gaze-random": RandomGazeController,
    "gaze-grid": GridController,
    "gaze-priority": PriorityController,
    "gaze-replay": ReplayController,
    "lens-sweep": SweepController,
    "lens-hill": HillController,
    "lens-reflex": LensReflexController,
    "lens-gradient": LensGradientController,
    "lens-reflex-hill": partial(LensReflexController, climbs=True),
    "pupil-reflex": PupilReflexController,
    "pupil-response": PupilResponseController,
    "pupil-fixed": PupilFixedController,
    "gaze-settle": SettleController,
    "eye-random": partial(RandomController, population=1),
    "eye-reflex": TogetherController,
    "eye-settle": settling_rule,
    "eye-gradient": EyeGradientController,
    "eye-policy": EyePolicyController,
    "pupil-hill": PupilHillController,
}


def make_controller(controller: object, **settings: Any) -> ControllerBase:
    """A controller with these settings.

    Args:
        controller: a name, as in ``make_controller("tpe", population=8)``; ``module:object`` for a class, a function
            that makes a controller, or a finished one, as in ``"mine:Walker"``; or such an object itself.
        settings: the fields of its dataclass, or the arguments of the class or function.

    Raises:
        ValueError: for a name or a setting that does not exist, a module or an object that is not found, or an object
            that is no controller: what it lacks.
    """
    if not isinstance(controller, str):
        return _build(controller, settings)
    if controller in CONTROLLERS:
        return _build(CONTROLLERS[controller], settings, name=controller)
    if controller in EYE_CONTROLLERS:
        return _build(EYE_CONTROLLERS[controller], settings, name=controller)
    if names_object(controller):
        return _build(load_object(controller, what="controller"), settings, name=controller)
    if controller in GONE:
        raise ValueError(f"the controller {controller!r} {GONE[controller]}")
    raise ValueError(
        f"unknown controller {controller!r}{did_you_mean(controller, [*CONTROLLERS, *EYE_CONTROLLERS])}; "
        f"choose from {', '.join(CONTROLLERS)}, for an eye "
        f"from {', '.join(EYE_CONTROLLERS)}, or give your own as module:object"
    )


def _build(what: object, settings: Mapping[str, Any], *, name: str | None = None) -> ControllerBase:
    """A controller from a class or a function, which are called, or from a finished one."""
    is_maker = isinstance(what, type) or (callable(what) and not hasattr(what, "act"))
    if not is_maker:
        return as_controller(what).with_options(**settings)
    assert callable(what)
    name = name or getattr(what, "__name__", repr(what))
    try:
        made = what(**settings)
    except TypeError as error:
        raise ValueError(f"controller {name!r} does not take {dict(settings)}: {error}") from error
    try:
        return as_controller(made)
    except ValueError as error:
        raise ValueError(f"controller {name!r}: {error}") from error
