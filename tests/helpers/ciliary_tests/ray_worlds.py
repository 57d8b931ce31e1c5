"""Toy worlds in workers of a cluster: some kill the process they live in, some tell who they are."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from ciliary_tests.worlds import PictureToy


class DeadlyToy(PictureToy):
    """In the middle of its search ``c`` kills its process once and ``d`` each time, as an operating system does."""

    def __init__(self, folder: Path):
        super().__init__()
        self._folder = folder

    def evaluate(self, u, views_seed=None):
        found = super().evaluate(u, views_seed)
        mark = self._folder / f"killed-{self.photograph.name}"
        if self.photograph.name == "d" or (self.photograph.name == "c" and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return found


class SlowToy(PictureToy):
    """Takes a while, and tells which processes play and which GPU they see: ``playing/<pid>``."""

    def __init__(self, folder: Path):
        super().__init__()
        self._folder = folder / "playing"

    def evaluate(self, u, views_seed=None):
        self._folder.mkdir(exist_ok=True)
        (self._folder / str(os.getpid())).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
        time.sleep(0.5)
        return super().evaluate(u, views_seed)


def make_deadly(settings, folder: Path) -> DeadlyToy:
    del settings  # whose folders are the worker's own, and gone with it
    return DeadlyToy(folder)


def make_slow_toy(settings, folder: Path) -> SlowToy:
    del settings
    return SlowToy(folder)
