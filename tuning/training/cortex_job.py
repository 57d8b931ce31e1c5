"""Train a cortex from the command line: the job, its curves, its report, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ciliary.agents.training.pool import split
from ciliary.cortex.device import choose_device
from ciliary.cortex.plot import style
from ciliary.cortex.stages.weights import load_stages
from ciliary.envs.data.images import open_images
from ciliary.envs.data.reading import UnreadableImage
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopped
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.store import StoreError
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.training.appraisal import appraise, markdown
from ciliary.tuning.training.batches import Batches
from ciliary.tuning.training.contours.learn import Learning
from ciliary.tuning.training.contours.settings import TeachingSettings
from ciliary.tuning.training.contours.teach import teach
from ciliary.tuning.training.cortex import mature, newborn
from ciliary.tuning.training.curriculum import DEFAULT, PHASES, read_curriculum
from ciliary.tuning.training.curves import Curve
from ciliary.tuning.training.options import CortexTraining
from ciliary.tuning.training.settings import MatureSettings


def run(asked: CortexTraining) -> int:
    """Train and report; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 130 stopped.
    """
    if asked.is_printing:
        print(DEFAULT.read_text(encoding="utf-8"), end="")
        return ALL_WELL
    is_quiet, out = asked.is_quiet, asked.out
    try:
        if asked.labelled is not None:
            teaching = TeachingSettings(
                asked.labelled,
                out,
                asked.inherited,
                learning=Learning(n_steps=asked.n_steps),
                n_code_steps=min(TeachingSettings.n_code_steps, asked.n_steps),
                begin=asked.begin,
                device=asked.device,
            )
            taught = teach(teaching, is_quiet=is_quiet)
            if not is_quiet:
                print(f"weights    {taught}")
            return ALL_WELL
        settings = MatureSettings(read_curriculum(asked.config), asked.images, out, asked.device)
        weights = mature(settings, is_quiet=is_quiet)
        say = (lambda text: None) if is_quiet else print
        say(f"weights    {weights}")
        for figure in draw_curves(Curve(out / "progress.jsonl", sys.maxsize).rows, out):
            say(f"curves     {figure}")
        if asked.with_report:
            say(f"report     {report(settings, weights, is_quiet=is_quiet)}")
    except Stopped:
        complain("train_cortex", "stopped; the same command goes on from here")
        return STOPPED
    except (ValueError, FileNotFoundError, UnreadableImage, StoreError) as error:
        complain("train_cortex", error)
        return NOTHING
    return ALL_WELL


def report(settings: MatureSettings, weights: Path, *, is_quiet: bool = False) -> Path:
    """Write ``out/report.md``: what each stage has learned, on the photographs that were held out."""
    curriculum = settings.curriculum
    photographs = [p for source in settings.images for p in open_images(source, 2 * curriculum.long_side_px)]
    held_out = split(photographs, curriculum.hold_out)[1]
    batches = Batches(
        held_out,
        shape_px=curriculum.shape_px,
        seed=curriculum.seed + 1,
        spread=curriculum.spread,
        device=choose_device(settings.device),
    )
    n_batches = len(torch.split(torch.arange(len(batches)), curriculum.n_batch))
    with Bar(n_batches, is_quiet=is_quiet, title="report  ") as bar:
        rows = appraise(
            load_stages(True, weights),
            newborn(curriculum.seed),
            batches,
            n_batch=curriculum.n_batch,
            on_batch=bar.advance,
        )
    head = (
        f"# What each stage has learned\n\n{len(batches)} photographs held out, {curriculum.shape_px[1]} px; "
        "no labels. `constant` and `random` are solutions that look at nothing.\n\n"
    )
    return write_atomically(settings.out / "report.md", f"{head}{markdown(rows)}".encode())


def draw_curves(rows: Sequence[Mapping[str, Any]], out: Path) -> list[Path]:
    """One figure: for each phase, its total and its losses on the held-out photographs against steps."""
    phases: list[list[Mapping[str, Any]]] = []
    for row in rows:
        if not phases or phases[-1][-1]["phase"] != row["phase"]:
            phases.append([])
        phases[-1].append(row)
    if not phases:
        return []
    figure = Figure(figsize=(3.2 * len(phases), 3.0), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for axes, some in zip(figure.subplots(1, len(phases), squeeze=False)[0], phases, strict=True):
        names = [n for n in some[0] if n not in ("step", "at", "total", "train", "phase")]
        steps = [row["at"] for row in some]
        for name in names:
            axes.plot(steps, [row[name] for row in some], lw=1.2, label=name)
        axes.plot(steps, [row["total"] for row in some], color=style.INK, lw=2.2, label="weighted sum")
        axes.set_title(PHASES[int(some[0]["phase"])], loc="left", fontsize=11, color=style.INK)
        axes.set_xlabel("steps")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7)
    return [write_figure(figure, out / "curves.png")]
