"""A job of nothing but names: an episode is a number that follows from its input's."""

from __future__ import annotations

from types import SimpleNamespace

from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.store import GAZING
from ciliary.tuning.sessions.job import Equipment, Job, Workbench
from ciliary.tuning.sessions.made import Made, keep_and_draw


class Locked(Exception):
    """As a database's driver has it: no ValueError, no OSError, no RuntimeError."""


class ToyBench(Workbench):
    def __init__(self, settings, folder):
        self.folder = folder

    def make(self, task, on_batch, keep):
        if task.stem == "full":
            raise Locked("disk full")
        total = sum(task.stem.encode()) / 1000
        record = {"key": str(task.key), "status": "FINISHED", **vars(task.key), "path": None, "parameters": {}}
        record |= {"before": {"total": 1.0}, "after": {"total": total}, "i_chosen": 0, "n_trials": 1, "seconds": 0.0}
        record |= {"n_evaluations": 1, "history": {"total": [total], "best_so_far": [total]}, "answer": "best"}

        def draw(path):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"page")
            return path

        drawings = [("figure", self.folder / "figures" / f"{task.stem}.png", draw)]
        figures, problems = keep_and_draw(record, drawings, {}, keep)
        return Made(record, {}, figures, {}, problems)


class ToyJob(Job):
    experiment = GAZING

    def load(self, item):
        if item.name == "unread":
            raise Locked("no such page")
        shown = SimpleNamespace(path=None, original_size=(1, 1), notes=())
        return shown, EpisodeKey(item.name, item.name, "none", "toy", 0, "s")

    def run_name(self, key):
        return f"{key.image} toy"

    def equip(self, session):
        return Equipment(self.settings, session.folder, ToyBench)


def items_of(*names):
    return [SimpleNamespace(name=name, label=f"{name}.png") for name in names]
