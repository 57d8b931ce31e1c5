"""Controllers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ciliary.agents.base import Controller
from ciliary.agents.controllers.fixed import FixedController
from ciliary.agents.controllers.gradient import GradientController
from ciliary.agents.controllers.homeostat import ReflexController
from ciliary.agents.controllers.hybrid import HybridController
from ciliary.agents.controllers.memory import MemoryController
from ciliary.agents.controllers.normalise import NormaliseController
from ciliary.agents.controllers.policy import PolicyController
from ciliary.agents.controllers.portfolio import PortfolioController
from ciliary.agents.controllers.random_search import RandomController
from ciliary.agents.controllers.sb3 import Sb3Controller
from ciliary.agents.controllers.search import SAMPLERS, SearchController

CONTROLLERS: Mapping[str, Callable[..., Controller]] = {
    "fixed": FixedController,
    "policy": PolicyController,
    "random": RandomController,
    "normalise": NormaliseController,
    "portfolio": PortfolioController,
    "gradient": GradientController,
    "hybrid": HybridController,
    "hybrid-cmaes": partial(HybridController, "cmaes"),
    "reflex": ReflexController,
    "memory": MemoryController,
    "sb3": Sb3Controller,
    **{name: partial(SearchController, name) for name in SAMPLERS},
}


def make_controller(name: str, **settings: Any) -> Controller:
    """A controller by name, such as ``make_controller("tpe", population=8)``.

    Raises:
        ValueError: for a name or a setting that does not exist.
    """
    if name not in CONTROLLERS:
        raise ValueError(f"unknown controller {name!r}; choose from {', '.join(CONTROLLERS)}")
    try:
        return CONTROLLERS[name](**settings)
    except TypeError as error:
        raise ValueError(f"controller {name!r} does not take {settings}: {error}") from error
