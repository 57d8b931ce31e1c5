"""What a technique draws: a look, what is asked of it, and how far to go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ciliary.cortex.explain.scalars import Tick, no_tick
from ciliary.cortex.plot.look import Look
from ciliary.tuning.inspect.targets import Target

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Seen:
    """One look, ready to be explained.

    Attributes:
        look: the undisturbed image, and what was perceived.
        targets: the numbers that are to be explained; at least one.
        is_quick: fewer steps, a coarser picture.
        seed: of all that is drawn by chance.
        tick: told after each step of a technique.
    """

    look: Look
    targets: tuple[Target, ...]
    is_quick: bool = False
    seed: int = 0
    tick: Tick = no_tick
    _made: dict[str, Any] = field(default_factory=dict, repr=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What several techniques need, made by the first of them."""
        if name not in self._made:
            self._made[name] = make()
        found: T = self._made[name]
        return found
