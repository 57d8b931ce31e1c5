"""The numbers of fluency: what each means, which way it is more fluent, and what it can be.

Signs are ours where the literature's slip: a reconstruction error and a sharp optimum are signs of *less* fluency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ciliary.tuning.fluency.economy import STAGES
from ciliary.tuning.runs.tables import markdown_table

_NAMES = {
    "retina": "ON and OFF cells",
    "m1": "V1's energy",
    "m2": "M2's contour",
    "m3": "M3's slots",
    "m4": "M4's parts",
}


@dataclass(frozen=True)
class Number:
    """One number.

    Attributes:
        name: its column.
        aspect: of fluency: ``economy``, ``efficacy``, ``typicality``, ``robustness``, ``load``.
        words: what it is.
        sign: 1 if more of it is more fluent, -1 if less is.
        low, high: what it can be.
    """

    name: str
    aspect: str
    words: str
    sign: int
    low: float
    high: float


def _economy(stage: str) -> list[Number]:
    what = _NAMES[stage]
    z = "the same in standard deviations of phase-scrambled images, above their mean"
    return [
        Number(f"gini_{stage}", "economy", f"Gini's index of {what}", 1, 0, 1),
        Number(f"gini_{stage}_z", "economy", z, 1, -math.inf, math.inf),
        Number(f"active_{stage}", "economy", f"share of {what} above a tenth of the strongest", -1, 0, 1),
        Number(f"active_{stage}_z", "economy", z, -1, -math.inf, math.inf),
    ]


NUMBERS: tuple[Number, ...] = (
    *(number for stage in STAGES for number in _economy(stage)),
    Number("ssim_m3", "efficacy", "SSIM of the image and M3's slots in their mean colours", 1, -1, 1),
    Number("ssim_m4", "efficacy", "the same of M4's proto-objects", 1, -1, 1),
    Number("energy_error_m3", "efficacy", "distance of V1's energies of the two, of the image's own", -1, 0, math.inf),
    Number("energy_error_m4", "efficacy", "the same of M4's proto-objects", -1, 0, math.inf),
    Number(
        "surprise", "typicality", "minus log-likelihood of the stages' statistics, nats each", -1, -math.inf, math.inf
    ),
    Number("sharpness", "robustness", "largest rise of the objective within 0.5 of the setting, in u", -1, 0, math.inf),
    Number("gate_entropy", "load", "entropy of M5's gate, mean over proto-objects, of log(experts)", -1, 0, 1),
    Number("expert_entropy", "load", "the same of the mean gate: how evenly experts are called", -1, 0, 1),
    Number("attention", "load", "proto-objects that count: exp(entropy of M5's weights)", -1, 1, math.inf),
    Number("objectness_l1", "load", "sum of objectness over the proto-objects", -1, 0, math.inf),
    Number("spikes", "economy", "spikes of V1 and M2 in 50 ms, a pixel (only with --spikes)", -1, 0, math.inf),
)
BY_NAME = {number.name: number for number in NUMBERS}
#: What knowing nothing scores, of each that has such a line: a column of its own in tables.
NULLS = {"ssim_m3": "ssim_blank", "ssim_m4": "ssim_blank"}


def table() -> str:
    """Name, words, direction and range, as the page of documentation has them."""

    def bound(value: float) -> str:
        return "∞" if value == math.inf else "−∞" if value == -math.inf else f"{value:g}".replace("-", "−")

    rows = [
        (
            f"`{one.name}`",
            one.aspect,
            one.words,
            "more" if one.sign > 0 else "less",
            f"{bound(one.low)} … {bound(one.high)}",
        )
        for one in NUMBERS
    ]
    return markdown_table(("number", "aspect", "what it is", "more fluent if", "range"), rows)
