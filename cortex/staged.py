"""A cortex at one image, seen at many settings in turn: stages that would answer as before are not asked again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ciliary.cortex.device import to_device
from ciliary.cortex.floats import single_precision
from ciliary.cortex.model import Cortex, check_image
from ciliary.cortex.parameters import Theta, check_theta
from ciliary.cortex.percept import Cues, Percept


class StagedCortex:
    """The percept of ``cortex(image, theta, cues)``, stage by stage, without gradient.

    Each stage's last answer is kept with the parameters that it read. It is asked again if one of them has another
    value, or if a stage before it was asked again: to move a parameter of M4 costs M4 alone. Threads take turns.

    Args:
        cortex: not trained meanwhile.
        image: (B, 3, H, W) in [0, 1], where the cortex lies.
        cues: of the image; None: computed now, once.

    Raises:
        ValueError: as :meth:`Cortex.forward`.
    """

    def __init__(self, cortex: Cortex, image: Tensor, cues: Cues | None = None) -> None:
        check_image(image)
        self._cortex, self._image = cortex, image
        self._cues = cortex.cues(image) if cues is None else cues
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    @single_precision
    @torch.no_grad()
    def __call__(self, theta: Theta) -> Percept:
        """The percept at one value per sample and parameter, (B,) each. Raises as :meth:`Cortex.forward`."""
        check_theta(theta, len(self._image))
        theta, cortex, cues = to_device(theta, self._image.device), self._cortex, self._cues
        with self._lock:
            retina, at_retina = self._asked("retina", theta, (), lambda t: cortex.retina(self._image, t))
            m1, at_m1 = self._asked("m1", theta, (at_retina,), lambda t: cortex.m1(retina, cues, t))
            m2, at_m2 = self._asked("m2", theta, (at_m1,), lambda t: cortex.m2(m1, t))
            m3, at_m3 = self._asked("m3", theta, (at_m1, at_m2), lambda t: cortex.m3(m1, m2, t))
            m4, at_m4 = self._asked("m4", theta, (at_m1, at_m2, at_m3), lambda t: cortex.objects(m1, m2, m3, t))
            percept, _ = self._asked("m5", theta, (at_m4,), lambda t: cortex.recognised(retina, m1, m2, m3, m4, cues))
        found: Percept = percept
        return found

    def _asked(
        self, name: str, theta: Theta, before: tuple[object, ...], ask: Callable[[Theta], Any]
    ) -> tuple[Any, object]:
        """A stage's answer, and a mark that is another whenever it was asked again."""
        kept = self._kept.get(name)
        if kept is None or kept.before != before or not kept.holds(theta):
            noted = _Noting(theta)
            answer = ask(noted)
            kept = _Kept(answer, before, {read: theta[read].clone() for read in noted.read})
            self._kept[name] = kept
        return kept.answer, kept.mark


@dataclass(frozen=True, eq=False)
class _Kept:
    """An answer, the marks of the answers that it was made of, and the parameters that were read for it."""

    answer: Any
    before: tuple[object, ...]
    read: Theta
    mark: object = field(default_factory=object)

    def holds(self, theta: Theta) -> bool:
        return all(torch.equal(value, theta[name]) for name, value in self.read.items())


class _Noting(dict[str, Tensor]):
    """A theta that notes what is read of it; whoever goes through it has read all."""

    def __init__(self, theta: Theta) -> None:
        super().__init__(theta)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        self.read.update(super().keys())
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        """As a dictionary's; noted."""
        self.read.add(name)
        return super().get(name, default)

    def keys(self) -> Any:
        """As a dictionary's; all is noted."""
        self.read.update(super().keys())
        return super().keys()

    def items(self) -> Any:
        """As a dictionary's; all is noted."""
        self.read.update(super().keys())
        return super().items()

    def values(self) -> Any:
        """As a dictionary's; all is noted."""
        self.read.update(super().keys())
        return super().values()
