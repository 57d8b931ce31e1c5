"""What learned depth is worth on scenes it was not taught on, beside the height in the image and other simple answers.

Each scene is left out in turn and judged by a head taught on the others. The unit of an interval is the frame; frames
of one room are witnesses of that room alone, and the page says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.cues.base import DepthProvider
from ciliary.cortex.cues.learned_depth import DepthHead, FrozenMaps, relative_depth, shrink
from ciliary.cortex.cues.pictorial import pictorial_depth
from ciliary.cortex.device import device_of
from ciliary.envs.data.depth import DepthImage, DepthSet
from ciliary.envs.metrics.depth import aligned_log_rmse, ordered_pairs, rank_agreement
from ciliary.envs.metrics.statistics import bootstrap_mean, paired_difference
from ciliary.tuning.runs.tables import Table

LEARNED = "learned"
METRICS: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray], float]]] = {
    "log RMSE": ("Scale-invariant log RMSE, lower is better", aligned_log_rmse),
    "Spearman": ("Spearman's correlation with true depth, higher is better", rank_agreement),
    "pairs": ("Share of point pairs in the right order, higher is better", ordered_pairs),
}
_STRIDE = 2  # every second pixel is judged
_MIN_FRAMES = 5  # fewer have no interval


@dataclass(frozen=True)
class Judged:
    """Numbers of a scene's frames: metric -> who -> (n_frames,). ``is_checked``: of ``--check``, not left out."""

    scene: str
    values: Mapping[str, Mapping[str, np.ndarray]]
    is_checked: bool = False


def height(image: Tensor) -> Tensor:
    """Height in the image alone: (B, 1, H, W), 1 at the top."""
    rows = torch.linspace(1, 0, image.shape[-2], dtype=image.dtype, device=image.device)
    return rows.view(1, 1, -1, 1).expand(len(image), 1, *image.shape[-2:])


def constant(image: Tensor) -> Tensor:
    """Looks at nothing."""
    return torch.zeros_like(image[:, :1])


OTHERS: dict[str, DepthProvider] = {"height in image": height, "pictorial": pictorial_depth, "constant": constant}


def provider_of(head: DepthHead, trunk: FrozenMaps) -> DepthProvider:
    """The provider that a head and its trunk make; it takes images wherever they lie, and answers there."""
    there = device_of(trunk)

    @torch.no_grad()
    def see(image: Tensor) -> Tensor:
        seen = image.to(there)
        return relative_depth(head(trunk(shrink(seen))), seen).to(image.device)

    return see


def judge(scene: str, frames: Sequence[DepthImage], learned: DepthProvider, *, is_checked: bool = False) -> Judged:
    """Every metric of every contestant on the frames of one scene."""
    values: dict[str, dict[str, list[float]]] = {metric: {} for metric in METRICS}
    for frame in frames:
        truth = frame.depth_mm[::_STRIDE, ::_STRIDE].numpy()
        for who, see in {LEARNED: learned, **OTHERS}.items():
            guess = see(frame.image[None])[0, 0, ::_STRIDE, ::_STRIDE].numpy()
            for metric, (_, measure) in METRICS.items():
                values[metric].setdefault(who, []).append(measure(guess, truth))
    return Judged(
        scene, {m: {who: np.array(v) for who, v in by_who.items()} for m, by_who in values.items()}, is_checked
    )


def judge_left_out(
    frames: DepthSet, heads: Sequence[DepthHead], trunk: FrozenMaps, *, on_scene: Callable[[], None] = lambda: None
) -> list[Judged]:
    """Each scene, by the head that was taught without it."""
    out = []
    for scene, head in zip(frames.scenes, heads, strict=True):
        out.append(judge(scene, frames.of_scene(scene), provider_of(head, trunk)))
        on_scene()
    return out


def report_tables(judged: Sequence[Judged]) -> list[Table]:
    """One table a metric: a row a scene, then the mean over scenes left out."""
    whos = (LEARNED, *OTHERS)
    out = []
    for metric, (title, _) in METRICS.items():
        rows = []
        for one in judged:
            values = one.values[metric]
            n = len(values[LEARNED])
            name = f"{one.scene} (--check)" if one.is_checked else one.scene
            rows.append((name, str(n), *(f"{values[who].mean():.3f}" for who in whos), _difference(values)))
        held_out = [one.values[metric] for one in judged if not one.is_checked]
        if len(held_out) > 1:
            means = {who: np.array([values[who].mean() for values in held_out]) for who in whos}
            cells = (f"{means[who].mean():.3f}" for who in whos)
            rows.append(("**mean of scenes left out**", str(len(held_out)), *cells, _difference(means)))
        out.append(Table(title, ("scene", "frames", *whos, "learned − height"), tuple(rows), note=_NOTES[metric]))
    return out


def _difference(values: Mapping[str, np.ndarray]) -> str:
    learned, other = values[LEARNED], values["height in image"]
    if len(learned) < _MIN_FRAMES:
        return f"{(learned - other).mean():+.3f}"
    found = paired_difference(learned, other)
    mean = bootstrap_mean(learned - other).mean
    return f"{mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


_NOTES = {
    "log RMSE": "Log depth against the best a + b x prediction, b >= 0; a constant gets the spread of "
    "log depth. Intervals: paired bootstrap, 95 %, over the frames of the row (in the last row over scenes).",
    "Spearman": "A constant has no order: 0.",
    "pairs": "Of 20,000 random pairs whose depths differ by more than 10 %; 0.5 is chance.",
}
