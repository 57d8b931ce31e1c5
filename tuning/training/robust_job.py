"""Harden what people's drawings taught, and say what that gained and cost: the job, its report, exit codes."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.device import choose_device
from ciliary.cortex.stages.contour_net import ContourNet
from ciliary.cortex.stages.inherited import make_inherited, shipped
from ciliary.cortex.stages.m2_taught import TaughtM2
from ciliary.cortex.stages.weights import fill
from ciliary.envs.data.labelled import LabelledImage, read_bsds, read_labelled_folder
from ciliary.envs.metrics.statistics import Interval, bootstrap_mean
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.runs.tables import rows_to_markdown
from ciliary.tuning.training.contours import held
from ciliary.tuning.training.contours.harden import CONDITIONS, Hardening, harden, judge, samples_to_judge
from ciliary.tuning.training.contours.held import compare_percepts
from ciliary.tuning.training.contours.pool import Sample
from ciliary.tuning.training.contours.teach import half_bytes
from ciliary.tuning.training.curves import Curve
from ciliary.tuning.training.options import RobustTraining

_SIZE_PX = 192  # at which percepts are judged
_HELD_OUT = 5  # of a folder, every fifth image


@dataclass(frozen=True)
class Row:
    """What a network is worth under one condition, over the images it did not learn from."""

    seen: str
    error_before: Interval
    error_after: Interval
    error_change: Interval
    precision_before: Interval
    precision_after: Interval
    precision_change: Interval


def run(asked: RobustTraining) -> int:
    """Harden and report; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 130 stopped.
    """
    try:
        path, page = _train(asked)
    except Stopped:
        complain("train robust", "stopped; nothing is kept of a training that did not end")
        return STOPPED
    except (ValueError, FileNotFoundError, OSError) as error:
        complain("train robust", error)
        return NOTHING
    report = write_atomically(asked.out / "report.md", page.encode())
    if not asked.is_quiet:
        print(f"{page}\nweights    {path}\nreport     {report}")
    return ALL_WELL


def _train(asked: RobustTraining) -> tuple[Path, str]:
    """Write the weights; their path, and the report."""
    learned, checked = parted(asked.labelled, asked.n_checked)
    how = Hardening(asked.epsilon / 255, asked.n_steps, seed=asked.seed)
    stages = make_inherited("contours")
    fill(stages, asked.weights or shipped("contours"), "teach one with: ciliary train cortex --labelled")
    contours = stages["m2"]
    assert isinstance(contours, TaughtM2)
    before = contours.net.eval().requires_grad_(False)
    about = {
        "hardened": asdict(how),
        "labels": f"people's drawings of {len(learned)} images of {asked.labelled.name}",
        "from": (asked.weights or shipped("contours")).name,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
    }
    samples = samples_to_judge(checked)
    device = choose_device(asked.device)
    curve = Curve(asked.out / "progress.jsonl", 0)
    with Stopper() as stopper, Bar(2 * len(samples) + how.n_steps, is_quiet=asked.is_quiet, title="robust") as bar:

        def done() -> None:
            stopper.check()
            bar.advance()

        def told(step: int, clean: float, attacked: float) -> None:
            done()
            curve.log({"loss/clean": clean, "loss/attacked": attacked}, step)

        after = harden(before, learned, how, device=device, on_step=told)
        judged = [_judged(net, samples, how.epsilon, device, done) for net in (before, after)]
        contours.net = after
        path = write_atomically(asked.out / "inherited_contours.safetensors", half_bytes(stages, about))
        bar.next("percepts", 2 * len(checked))
        old, new = (
            Cortex(inherited="contours", inherited_weights=weights).eval().requires_grad_(False).to(device)
            for weights in (asked.weights, path)
        )
        percepts = compare_percepts(old, new, checked, how.epsilon, size_px=_SIZE_PX, on_image=done)
    return path, _page(compare(*judged), percepts, asked, len(learned), len(checked))


def parted(root: Path, n_checked: int) -> tuple[Sequence[LabelledImage], Sequence[LabelledImage]]:
    """Images to learn from, and images to judge by: BSDS500's training and validation photographs, else every fifth.

    Raises:
        ValueError: too few images.
    """
    if (root / "groundTruth").is_dir():
        return read_bsds(root, "train"), read_bsds(root, "val", n_images=n_checked)
    images = list(read_labelled_folder(root))
    if len(images) < 2:
        raise ValueError(f"{root}: expected at least 2 labelled images, to learn from and to judge by; got one")
    return [one for i, one in enumerate(images) if i % _HELD_OUT], images[::_HELD_OUT][:n_checked]


def _judged(
    net: ContourNet, samples: Sequence[Sample], epsilon: float, device: torch.device, on_sample: Callable[[], object]
) -> list[Mapping[str, tuple[float, float]]]:
    net = net.to(device)
    rows: list[Mapping[str, tuple[float, float]]] = []
    for i, sample in enumerate(samples):
        rows.append(judge(net, sample, epsilon, seed=i))
        on_sample()
    net.cpu()
    return rows


def compare(
    before: Sequence[Mapping[str, tuple[float, float]]], after: Sequence[Mapping[str, tuple[float, float]]]
) -> list[Row]:
    """Both networks on the same samples, condition by condition, with intervals over the images."""

    def intervals(condition: str, k: int) -> list[Interval]:
        pairs = np.array([[one[condition][k] for one in rows] for rows in (before, after)])
        pairs = pairs[:, np.isfinite(pairs).all(0)]
        if not pairs.size:
            return [Interval(math.nan, math.nan, math.nan, 0)] * 3
        return [bootstrap_mean(values) for values in (pairs[0], pairs[1], pairs[1] - pairs[0])]

    return [Row(name, *intervals(name, 0), *intervals(name, 1)) for name in CONDITIONS]


def _page(
    rows: Sequence[Row], percepts: Sequence[held.Row], asked: RobustTraining, n_learned: int, n_checked: int
) -> str:
    return (
        "# Hardened contours\n\n"
        f"{asked.n_steps} batches of {n_learned} images, clean and attacked by up to {asked.epsilon:g}/255 a value; "
        f"judged on {n_checked} images that were not learned from. Error: balanced cross-entropy, lower is better. "
        "Precision: average precision of contour pixels, higher is better. `random`: noise of as much as an attack "
        "may change. Intervals: 95 %, bootstrap over images, pairs for changes.\n\n"
        + rows_to_markdown(rows)
        + "\n## What the percept gains\n\n"
        f"At {_SIZE_PX} px, default setting. Covering of people's regions; held: how far the regions are those seen "
        "clean (soft adjusted Rand index). `attacked`: against the regions of the very cortex that looks.\n\n"
        + rows_to_markdown(percepts)
    )
