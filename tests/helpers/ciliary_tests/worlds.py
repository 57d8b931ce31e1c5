"""Small worlds for the tests of tuning: a quadratic loss over the cortex's parameters, with a picture to look at."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch

from ciliary.cortex import PARAMETERS, Cortex, Percept, from_unit
from ciliary.envs.toy import ToyEnv
from ciliary.tuning.sessions.inputs import Input


class Picture:
    """A hand-made photograph: a bright disc whose place depends on its name."""

    def __init__(self, name: str, size: tuple[int, int] = (90, 120)):
        y, x = np.mgrid[:48, :64].astype(np.float32)
        radius = np.hypot(y - 24, x - 20 - sum(name.encode()) % 24)
        self.image = torch.from_numpy(np.stack([(radius < 12) * 0.6 + 0.2] * 3).astype(np.float32))
        self.name, self.original_size, self.path, self.notes = name, size, None, ()


class PictureToy(ToyEnv):
    """The toy world with a photograph's picture; it counts the evaluations it was really asked for."""

    n_asked = 0
    broken: frozenset[str] = frozenset()

    def __init__(self) -> None:
        super().__init__(action_mode="absolute")
        self.photograph: Any = None

    def _begin(self, options: dict[str, Any]) -> None:
        self.photograph = options["image"]
        if self.photograph.name in self.broken:
            raise RuntimeError("this picture breaks the world")
        super()._begin({**options, "image": sum(self.photograph.name.encode())})

    @property
    def image(self):
        return self.photograph.image

    def percept(self, u):
        return seen(self.photograph.name, np.atleast_2d(u).astype(np.float32).tobytes())

    def evaluate(self, u, views_seed=None):
        type(self).n_asked += 0 if views_seed is not None else len(u)
        return super().evaluate(u, views_seed)

    def step(self, action):  # a step is no search
        n_asked = type(self).n_asked
        result = super().step(action)
        type(self).n_asked = n_asked
        return result


@lru_cache(maxsize=64)  # worlds of many tests look at the same pictures under the same settings
def seen(name: str, u: bytes) -> Percept:
    settings = torch.from_numpy(np.frombuffer(u, np.float32).copy()).view(-1, len(PARAMETERS))
    with torch.no_grad():
        return Cortex()(Picture(name).image[None].expand(len(settings), -1, -1, -1), from_unit(settings))


class Recorder:
    """A display that only remembers."""

    def __init__(self, on_batch=None):
        self.problems: list[str] = []
        self.episodes: list[str] = []
        self.session: Any = None
        self._on_batch = on_batch

    def begin(self, session, n_episodes):
        self.session, self.n_episodes = session, n_episodes

    def episode(self, title):
        self.episodes.append(title)

    def batch(self, progress):
        if self._on_batch is not None:
            self._on_batch(progress)

    def done(self, *, was_done_before):
        pass

    def note(self, text):
        self.problems.append(text)

    def problem(self, text):
        self.problems.append(text)


def inputs_of(*names: str) -> list[Input]:
    return [Input(name, f"{name}.png", lambda name=name: Picture(name)) for name in names]


def make_toy(settings: Any) -> PictureToy:
    """A toy world, by a name that a worker process finds too."""
    return PictureToy()
