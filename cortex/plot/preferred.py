"""What units like most, and what stages dream of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.model import Cortex
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.look import Look
from ciliary.cortex.plot.sheet import Row, Sheet, picture_row
from ciliary.cortex.synthesis.ascent import AscentSettings, Score, ascend, noise_around_grey
from ciliary.cortex.synthesis.codes import answer_of, stage_code, stages_of
from ciliary.cortex.synthesis.dream import DreamSettings, dream, resized

UNIT_PX = 64  # side of the image a unit sees
_N_EXPERTS = 4  # of M5 shown, at most: with M2's two units they fill a row
Tick = Callable[[], object]


@dataclass(frozen=True)
class Preferred:
    """What one unit likes."""

    stage: str
    unit: str  # in words
    image: np.ndarray  # (h, w, 3) in [0, 1]
    before: float  # what it answers to the noise the ascent starts from
    after: float


def preferred_by(
    look: Look, *, settings: AscentSettings | None = None, seed: int = 0, tick: Tick = lambda: None
) -> list[Preferred]:
    """What units like: V1's energy by scale and orientation and M2's contour and its end, in the middle of the image.

    From grey and noise; experts of M5, which noise leaves without a slope, from the image itself: the
    :data:`_N_EXPERTS` that answer for most of it. One batch for each stage; ``tick`` is called after each.
    """
    cortex, theta, centre = look.cortex, look.theta, UNIT_PX // 2

    def energy(image: Tensor) -> Tensor:
        field: Tensor = answer_of(cortex, "m1", image, theta).energy[:, :, centre, centre]
        return field.diagonal()

    def line(image: Tensor) -> Tensor:
        m2 = answer_of(cortex, "m2", image, theta)
        return torch.stack([m2.contour[0, 0, centre, centre], m2.end_points[1, 0, centre, centre]])

    noise = noise_around_grey((1, 3, UNIT_PX, UNIT_PX), seed=seed).to(cortex.device)
    v1 = [_v1_unit(i) for i in range(look.percept.m1.energy.shape[1])]
    asked: list[tuple[str, list[str], Score, Tensor]] = [
        ("m1", v1, energy, noise),
        ("m2", ["contour", "end of one"], line, noise),
    ]
    if has_experts(look):
        own = resized(look.image[None], (UNIT_PX, UNIT_PX)).to(cortex.device)
        with torch.no_grad():
            m5 = answer_of(cortex, "m5", own, theta)
            share = (m5.weight[..., None] * m5.gate).sum(1)[0]
        at_work = [int(i) for i in share.topk(min(_N_EXPERTS, len(share))).indices if share[i] > 0]

        def experts(image: Tensor) -> Tensor:
            m5 = answer_of(cortex, "m5", image, theta)
            answered: Tensor = (m5.weight[..., None] * m5.gate).sum(1)[torch.arange(len(at_work)), at_work]
            return answered

        asked.append(("m5", [f"expert {i + 1}" for i in at_work], experts, own))
    found = []
    for stage, units, score, start in asked:
        many = start.expand(len(units), -1, -1, -1)
        made = ascend(score, many, settings, seed=seed)
        with torch.no_grad():
            before, after = (score(image).tolist() for image in (many, made))
        pictures = [paint.as_picture(image) for image in made.cpu()]
        found += [Preferred(stage, *row) for row in zip(units, pictures, before, after, strict=True)]
        tick()
    return found


def has_experts(look: Look) -> bool:
    """Whether the cortex has several experts to choose from."""
    return look.percept.m5 is not None and look.percept.m5.gate.shape[2] > 1


def _v1_unit(i: int) -> str:
    scale, orientation = divmod(i, N_ORIENTATIONS)
    return f"scale {scale + 1}, {180 * orientation / N_ORIENTATIONS:.0f}°"


def draw_preferred(look: Look, *, is_quick: bool = False, seed: int = 0, tick: Tick = lambda: None) -> Figure:
    """A row for each scale of V1, one for what comes after."""
    settings = AscentSettings(n_steps=12 if is_quick else 25)
    units = preferred_by(look, settings=settings, seed=seed, tick=tick)
    rows = [units[i : i + N_ORIENTATIONS] for i in range(0, len(units), N_ORIENTATIONS)]
    sheet = Sheet(
        "What units like most",
        f"images of {UNIT_PX} × {UNIT_PX} px that climb the answer of one unit at their middle, from grey and noise "
        "(experts: from this image); below each: its answer before and after",
        [Row(N_ORIENTATIONS, 1.45, 0.62) for _ in rows],
    )
    for i, row in enumerate(rows):
        for j, unit in enumerate(row):
            title = f"{unit.stage.upper()}: {unit.unit}"
            style.picture(sheet.axes(i, j), unit.image, title, f"{unit.before:.3f} → {unit.after:.3f}")
    return sheet.figure


def strength_of(cortex: Cortex, stage: str, theta: Theta) -> Score:
    """Half the mean square of what a stage answers: its gradient is the answer itself, as DeepDream has it."""
    code = stage_code(cortex, stage, theta)
    return lambda image: 0.5 * code(image).flatten(1).square().mean(1)


def draw_dreams(look: Look, *, is_quick: bool = False, seed: int = 0, tick: Tick = lambda: None) -> Figure:
    """The image, and what stages make of it when it follows what they answer."""
    settings = DreamSettings(n_octaves=2, n_steps=4) if is_quick else DreamSettings()
    stages = [name for name in stages_of(look.cortex) if name in ("m1", "m2", "m3")]
    sheet = Sheet(
        "Dreams",
        f"more of what each stage answers to, over {len(settings.sizes(*look.image.shape[-2:]))} octaves, "
        "detail put back at each; below: how much stronger the answer is",
        [picture_row(1 + len(stages), (look.image.shape[-2], look.image.shape[-1]))],
    )
    style.picture(sheet.axes(0, 0), paint.as_picture(look.image), "The image")
    image = look.image[None].to(look.cortex.device)
    for column, stage in enumerate(stages, start=1):
        score = strength_of(look.cortex, stage, look.theta)
        made = dream(score, image, settings, seed=seed)
        with torch.no_grad():
            times = float(score(made) / score(image).clamp_min(1e-12))
        style.picture(
            sheet.axes(0, column), paint.as_picture(made[0].cpu()), f"{stage.upper()} dreams", f"{times:.1f} times"
        )
        tick()
    return sheet.figure
