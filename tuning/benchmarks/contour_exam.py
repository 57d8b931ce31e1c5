"""The exam of contours: selectivity on gaps and illusory figures, junctions named, people's contours in fog, time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from ciliary.cortex.stages.m2_grouping import M2, find_completion
from ciliary.cortex.stages.m2_lifted import LiftedM2
from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.benchmarks.contour_fields import (
    ARMS,
    FIELDS,
    PROCESS,
    TODAY,
    arms,
    choose_least,
    completed_at,
    look,
    named_rightly,
    unrun,
)
from ciliary.tuning.benchmarks.contour_people import CONDITIONS, judge
from ciliary.tuning.benchmarks.contour_scenes import (
    BESIDE,
    CONTROLS,
    TURNED,
    draw_junctions,
    gap_scenes,
    kanizsa_scenes,
)
from ciliary.tuning.benchmarks.findings import Findings, numbers_of, percent
from ciliary.tuning.runs.tables import Table

GAPS_PX = (4, 8, 12, 16, 20, 24)
_ANGLES_RAD = tuple(math.radians(degrees) for degrees in (0, 10, 23, 45, 67, 90, 120, 160))
_CORNERS = {3: "triangle", 4: "square"}
#: On how many the least share of an arm is chosen, and how many others are named.
N_JUNCTIONS = (120, 300)
_NONE, _UNRUN = "none", "the lift alone"
_TIMES = 5
Progress = Callable[[], None]


def n_steps(n_images: int) -> int:
    """How often progress is told."""
    return len(GAPS_PX) + 2 * len(_CORNERS) + len(FIELDS) + len(CONDITIONS) * 5 * n_images


def sit(
    data: Sequence[LabelledImage],
    *,
    size_px: int,
    seed: int,
    progress: Progress = lambda: None,
) -> Findings:
    """All of it, on scenes and on BSDS500's photographs as large as ``size_px``."""
    gap, gap_numbers = _gaps(progress)
    figure, figure_numbers = _figures(progress)
    junction, junction_numbers = _junctions(seed, progress)
    people, people_numbers = _people(data, size_px, seed, progress)
    timing, milliseconds = _times()
    return Findings(
        tables=(gap, figure, junction, people, timing),
        figures={"Completion": draw()},
        numbers={
            "gaps": gap_numbers,
            "figures": figure_numbers,
            "junctions": junction_numbers,
            "people": people_numbers,
            "milliseconds": milliseconds,
        },
        about={},
    )


def _ratio(one: float, other: float) -> str:
    ratio = one / max(other, 1e-9)
    return f"{ratio:.1f}" if ratio < 100 else "> 100"


def _gaps(progress: Progress) -> tuple[Table, Any]:
    found: dict[str, dict[int, dict[str, float]]] = {name: {} for name in FIELDS}
    for gap in GAPS_PX:
        scenes = [gap_scenes(gap, angle) for angle in _ANGLES_RAD]
        for name, sides in FIELDS.items():
            found[name][gap] = {kind: completed_at([s[kind] for s in scenes], sides) for kind in scenes[0]}
        progress()
    rows = [
        (name, control, *(_ratio(found[name][gap]["aligned"], found[name][gap][control]) for gap in GAPS_PX))
        for control in CONTROLS
        for name in FIELDS
    ]
    note = "Completion in the middle of a gap between segments that line up, over that of the control; 8 directions."
    return Table("Gaps", ("", "over", *(f"{gap} px" for gap in GAPS_PX)), tuple(rows), 2, note), found


def _figures(progress: Progress) -> tuple[Table, Any]:
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in FIELDS}
    for n, title in _CORNERS.items():
        scenes = [kanizsa_scenes(n, angle) for angle in _ANGLES_RAD[:4]]
        for name, sides in FIELDS.items():
            found[name][title] = {kind: completed_at([s[kind] for s in scenes], sides) for kind in scenes[0]}
        progress()
    rows = [
        (name, *(_ratio(one["illusory"], one[control]) for one in found[name].values() for control in (TURNED, BESIDE)))
        for name in FIELDS
    ]
    columns = [f"{title}, over {control}" for title in _CORNERS.values() for control in (TURNED, BESIDE)]
    return Table("Kanizsa's figures", ("", *columns), tuple(rows), 1, "The middle of the illusory edges."), found


def _junctions(seed: int, progress: Progress) -> tuple[Table, Any]:
    chosen_on, told_on = (draw_junctions(n, seed + i) for i, n in enumerate(N_JUNCTIONS))
    names = np.array([one.name for one in told_on])
    rows, numbers = [], {}
    for title, sides in FIELDS.items():
        least = choose_least(chosen_on, arms(chosen_on, sides))
        right = named_rightly(told_on, arms(told_on, sides), least).astype(float)
        each = {name: right[names == name].mean() for name in ARMS.values()}
        rows.append((title, percent(bootstrap_mean(right)), *(percent(each[name]) for name in ARMS.values())))
        numbers[title] = {"least": least, "all": float(right.mean()), **{k: float(v) for k, v in each.items()}}
        progress()
    note = (
        f"Percent of {N_JUNCTIONS[1]} junctions at a known place, by how many directions tell of an arm; chance is 33. "
        f"What an arm is told at least was chosen on {N_JUNCTIONS[0]} others."
    )
    return Table("Junctions named", ("", "all", *ARMS.values()), tuple(rows), 1, note), numbers


def _people(data: Sequence[LabelledImage], size_px: int, seed: int, progress: Progress) -> tuple[Table, Any]:
    ways = {_NONE: None, TODAY: FIELDS[TODAY], _UNRUN: unrun, PROCESS: FIELDS[PROCESS]}
    others = (_NONE, TODAY, _UNRUN)
    rows, numbers = [], {}
    for condition in CONDITIONS:
        judged = judge(data, ways, condition, size_px=size_px, seed=seed, progress=progress)
        for name, one in judged.items():
            over = {other: one.over(judged[other]) for other in others if name not in (other, _NONE)}
            told = [_signed(over[other]) if other in over else "" for other in others]
            rows.append((condition, name, str(one.ods), *told))
            numbers[f"{condition} {name}"] = {"ods": numbers_of(one.ods)} | {
                f"over {other}": numbers_of(interval) for other, interval in over.items()
            }
    note = f"Boundary F of {len(data)} photographs at one threshold (ODS) of each row; differences are paired, 95 %."
    columns = ("disturbance", "completion", "ODS", *(f"over {name}" for name in others))
    return Table("People's contours", columns, tuple(rows), 2, note), numbers


def _signed(one: Interval) -> str:
    return f"{one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"


def _times() -> tuple[Table, dict[str, float]]:
    """Milliseconds of the processor of M2 and of its completion, the quickest of a few, 128 x 192 px."""
    picture = torch.rand(1, 3, 128, 192, generator=torch.Generator().manual_seed(0))
    m1, theta = look(picture)
    jobs: dict[str, Callable[[], object]] = {
        f"completion: {name}": partial(find_completion, m1, theta, sides) for name, sides in FIELDS.items()
    }
    jobs |= {"M2": partial(M2(), m1, theta), "LiftedM2": partial(LiftedM2(), m1, theta)}
    found = {}
    with torch.no_grad():
        for name, job in jobs.items():
            taken = []
            for _ in range(_TIMES + 1):
                start = time.process_time()
                job()
                taken.append(1000 * (time.process_time() - start))
            found[name] = min(taken[1:])
    rows = tuple((name, f"{ms:.1f}") for name, ms in found.items())
    return Table("Time", ("128 x 192 px", "ms of the processor"), rows), found


def draw() -> Figure:
    """Kanizsa's square and triangle, a gap and its controls: the picture, and its completion by either field."""
    gaps = gap_scenes(16, math.radians(20))
    scenes = [
        kanizsa_scenes(4, math.pi / 4)["illusory"],
        kanizsa_scenes(4, math.pi / 4)[TURNED],
        kanizsa_scenes(3, math.pi / 2)["illusory"],
        gaps["aligned"],
        gaps["shifted"],
        gaps["at right angles"],
    ]
    figure = Figure(figsize=(1.5 * len(scenes), 4.9), layout="constrained")
    axes = figure.subplots(3, len(scenes))
    for column, probe in enumerate(scenes):
        m1, theta = look(probe.picture[None])
        with torch.no_grad():
            maps = [find_completion(m1, theta, FIELDS[name])[1][0, 0] for name in (TODAY, PROCESS)]
        axes[0, column].imshow(probe.picture.permute(1, 2, 0).numpy())
        for row, one in enumerate(maps, 1):
            axes[row, column].imshow(one.sqrt().numpy(), cmap="magma", vmin=0, vmax=float(one.max().sqrt()) * 0.6)
    for row, title in enumerate(("picture", TODAY, PROCESS)):
        axes[row, 0].set_ylabel(title, fontsize=9)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    return figure
