"""Toy data and measures of the evaluation's tests, in a module that worker processes can import."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ciliary.tuning.evaluation.table import Case, ResponseTable


@dataclass(frozen=True)
class ToyImage:
    name: str
    value: float


class ToyData(Sequence):
    """Images i0, i1, ... of value 0, 1, ..., read when asked for."""

    def __init__(self, n_images: int):
        self.names = [f"i{i}" for i in range(n_images)]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i):
        return ToyImage(self.names[i], float(i))


@dataclass(frozen=True)
class ToyMeasure:
    """The term is the distance of u from the image's value, the score its negative; i<bad> raises; calls are logged."""

    log: Path
    bad: str = ""
    is_fatal: bool = False

    def __call__(self, item: ToyImage, case: Case, u: np.ndarray) -> dict[str, np.ndarray]:
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write(f"{case.image}|{case.disturbance}|{os.getpid()}|{torch.get_num_threads()}\n")
        if case.image == self.bad:
            if self.is_fatal:
                os._exit(9)
            raise ArithmeticError("no such luck")
        distance = np.abs(u[:, 0] - item.value) + (case.disturbance != "none") + case.seed
        return {"term.distance": distance, "score.closeness": -distance}

    def calls(self) -> list[list[str]]:
        return [line.split("|") for line in self.log.read_text().splitlines()] if self.log.exists() else []


def interrupt(item: ToyImage, case: Case, u: np.ndarray) -> dict[str, np.ndarray]:
    """Measures i0, then Ctrl-C."""
    if case.image != "i0":
        raise KeyboardInterrupt
    return {"term.distance": np.zeros(len(u))}


def table_of(scores, *, cases=None, u=None, **columns) -> ResponseTable:
    """A table with ``score.covering`` and other columns (``term_x`` is ``term.x``)."""
    scores = np.asarray(scores, np.float32)
    cases = tuple(cases or (Case(f"i{i}") for i in range(len(scores))))
    u = np.linspace(0, 1, scores.shape[1], dtype=np.float32)[:, None] if u is None else np.asarray(u, np.float32)
    named = {name.replace("_", ".", 1): np.asarray(values, np.float32) for name, values in columns.items()}
    return ResponseTable(u, cases, {"score.covering": scores, **named})
