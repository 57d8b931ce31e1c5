"""Controllers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agents.base import Controller
from agents.fixed import FixedController
from agents.gradient import GradientController
from agents.hybrid import HybridController
from agents.memory import MemoryController
from agents.normalise import NormaliseController
from agents.policy import PolicyController
from agents.portfolio import PortfolioController
from agents.random_search import RandomController
from agents.reflex import ReflexController
from agents.sb3 import Sb3Controller
from agents.search import SAMPLERS, SearchController

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
