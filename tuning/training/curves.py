"""How a training went: a file of one line an update, a run in the tracking store, and a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ciliary.cortex.plot import style
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.run import Run, at
from ciliary.tuning.runs.store import TRAININGS, open_store

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

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Add a line."""
        row = {"step": int(step), **{name: value for name, value, _ in at(values)}}
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def values(self, name: str) -> list[tuple[int, float]]:
        """(step, value) wherever that name was logged."""
        return [(row["step"], row[name]) for row in self.rows if name in row]


class LearningRun(Run):
    """The training's run in the tracking store. A training that goes on goes on in its old run.

    Args:
        out: folder of the training and, unless ``MLFLOW_TRACKING_URI`` says otherwise, of the store.
        about: parameters of a new run.
        name: of a new run.

    Raises:
        StoreError: the store cannot be opened.
    """

    def __init__(self, out: Path, about: Mapping[str, Any], *, name: str) -> None:
        store = open_store(out, experiment=TRAININGS)
        path = out / _RUN
        run = None
        if path.is_file():
            with suppress(KeyError):  # another store, or the run was deleted
                run = Run.go_on(store, json.loads(path.read_text(encoding="utf-8"))["run_id"])
        if run is None:
            run = Run.begin(store, name=name, kind="training", params=about)
            write_atomically(path, json.dumps({"run_id": run.run_id}).encode())
        super().__init__(store, run.run_id, run.artifacts)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Send the numbers of an update."""
        self.write(at({name: value for name, value in values.items() if name != _STEP}, int(step)))


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
        (("rollout/ep_rew_mean",), "training, while exploring", {"color": style.FAINT, "lw": 1.2}),
        (
            ("eval/mean_reward", "eval/gain"),
            "held-out images",
            {"color": style.AFTER, "lw": 2.0, "marker": "o", "ms": 3.5},
        ),
    )
    for names, label, look in series:
        points = [(row["step"], row[name]) for row in rows for name in names if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, **look)
    for rule in [row["eval/rule"] for row in rows if "eval/rule" in row][-1:]:
        axes.axhline(rule, color=style.FAINT, lw=1.2, ls=(0, (1, 2)), label="the best hand-written rule, there")
    axes.axhline(0, color=style.BEFORE, lw=1.2, ls=(0, (5, 3)), label="keeping the defaults")
    axes.set_xlabel(unit)
    axes.set_ylabel("gain in the total per episode")
    words = [str(about.get("algo", "")), str(about.get("objective", "")).split(" ")[0]]
    words += [f"seed {about['seed']}"] if "seed" in about else []
    axes.set_title("  ·  ".join(word for word in words if word), fontsize=11, color=style.INK, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure
