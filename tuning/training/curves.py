"""How a training went: a file of one line an update, a run in the tracking store, and a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ciliary.tuning.inspect import panels
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.runs.store import open_store
from ciliary.tuning.runs.tracking import TAG, write_batch

EXPERIMENT = "ciliary-policies"
_STEP = "time/total_timesteps"
_RUN = "run.json"  # which run of the store this folder's training is


def claim(out: Path, about: Mapping[str, Any]) -> None:
    """Say whose folder this is, or ``ValueError`` if it is another training's."""
    path = out / "training.json"
    mine = json.loads(json.dumps(about))
    if not path.is_file():
        write_atomically(path, json.dumps(mine, indent=1).encode() + b"\n")
        return
    theirs = json.loads(path.read_text(encoding="utf-8"))
    differing = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
    if differing:
        raise ValueError(
            f"{out} holds a training that differs in {', '.join(differing)}; choose another folder (--out)"
        )


class Curve:
    """Numbers by name as JSON lines, each with its ``step``. Lines after ``n_done`` steps belong to a lost past.

    Attributes:
        rows: all lines, oldest first.
    """

    def __init__(self, path: Path, n_done: int) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self.rows = [row for row in map(json.loads, lines) if row["step"] <= n_done] if n_done else []
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in self.rows).encode())

    def write(self, values: Mapping[str, Any], step: int) -> None:
        """Add a line."""
        row = {"step": int(step), **_numbers(values)}
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def values(self, name: str) -> list[tuple[int, float]]:
        """(step, value) wherever that name was logged."""
        return [(row["step"], row[name]) for row in self.rows if name in row]


class LearningRun:
    """The training's run in the tracking store: FINISHED at the end of the block, KILLED by an interrupt, else FAILED.

    A training that goes on goes on in its old run.

    Args:
        out: folder of the training and, unless ``MLFLOW_TRACKING_URI`` says otherwise, of the store.
        about: parameters of a new run.
        name: of a new run.

    Raises:
        StoreError: the store cannot be opened.
    """

    def __init__(self, out: Path, about: Mapping[str, Any], *, name: str) -> None:
        self.store = open_store(out, experiment=EXPERIMENT)
        self.run_id = self._open(out / _RUN, about, name)

    def __enter__(self) -> LearningRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del trace
        status = "FINISHED"
        if kind is not None:
            status = "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
            self.store.client.set_tag(self.run_id, f"{TAG}error", f"{kind.__name__}: {error}"[:4000])
        self.store.client.set_terminated(self.run_id, status)

    def write(self, values: Mapping[str, Any], step: int) -> None:
        """Send one batch."""
        numbers = {k: v for k, v in _numbers(values).items() if k != _STEP and math.isfinite(v)}
        write_batch(self.store, self.run_id, ((k, v, int(step)) for k, v in numbers.items()), {})

    def keep(self, files: Sequence[Path], figures: Sequence[Path]) -> None:
        """Log files and figures as artifacts."""
        for path in files:
            self.store.client.log_artifact(self.run_id, str(path))
        for path in figures:
            self.store.client.log_artifact(self.run_id, str(path), "figures")

    def _open(self, path: Path, about: Mapping[str, Any], name: str) -> str:
        from mlflow.exceptions import MlflowException

        if path.is_file():
            earlier = json.loads(path.read_text(encoding="utf-8"))["run_id"]
            try:
                self.store.client.update_run(earlier, status="RUNNING")
                return earlier
            except MlflowException:  # another store, or the run was deleted
                pass
        tags = {f"{TAG}kind": "training", **{f"{TAG}version.{k}": v for k, v in versions().items()}}
        run_id = self.store.client.create_run(self.store.experiment_id, run_name=name, tags=tags).info.run_id
        write_batch(self.store, run_id, [], about)
        write_atomically(path, json.dumps({"run_id": run_id}).encode())
        return run_id


def draw_learning_curve(
    rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any], *, unit: str = "steps (one look each)"
) -> Figure:
    """What the policy gains in an episode against steps: in training, and on the images held out.

    Args:
        rows: of a :class:`Curve`; ``eval/mean_reward`` or ``eval/gain``, and ``rollout/ep_rew_mean``, are drawn.
        about: of the training; names it.
        unit: of the steps.
    """
    figure = Figure(figsize=(7.0, 3.6), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    series: tuple[tuple[tuple[str, ...], str, dict[str, Any]], ...] = (
        (("rollout/ep_rew_mean",), "training, while exploring", {"color": panels.FAINT, "lw": 1.2}),
        (
            ("eval/mean_reward", "eval/gain"),
            "held-out images",
            {"color": panels.AFTER, "lw": 2.0, "marker": "o", "ms": 3.5},
        ),
    )
    for names, label, style in series:
        points = [(row["step"], row[name]) for row in rows for name in names if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, **style)
    axes.axhline(0, color=panels.BEFORE, lw=1.2, ls=(0, (5, 3)), label="keeping the defaults")
    axes.set_xlabel(unit)
    axes.set_ylabel("gain in the total per episode")
    words = [str(about.get("algo", "")), str(about.get("objective", "")).split(" ")[0]]
    words += [f"seed {about['seed']}"] if "seed" in about else []
    axes.set_title("  ·  ".join(word for word in words if word), fontsize=11, color=panels.INK, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, value in values.items():
        try:
            found[name] = float(np.squeeze(value))
        except (TypeError, ValueError):
            continue
    return found
