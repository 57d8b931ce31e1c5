"""Glances: any perceiver, or several, looking at an image in other light, blurred, or at another size.

An eye does not see a scene through one setting of its cortex alone: it narrows, squints, steps back. Here these are
parameters like any other, in front of those of the perceiver, so that a look is one setting, whoever looks: a panel,
a search, an environment need know nothing more. What is seen is brought back to the image's own frame.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import device_of, to_device
from ciliary.cortex.model import MIN_SIDE_PX
from ciliary.cortex.ops.smoothing import gaussian_blur
from ciliary.cortex.perceiver import AbstractPercept, Perceiver
from ciliary.cortex.segmenters.perceiver import REMEMBERED_PX
from ciliary.cortex.segmenters.percept import LabelPercept
from ciliary.cortex.table import Parameter, ParameterTable, Theta

_STEPS_PER_OCTAVE = 4  # sizes are looked at in so many steps, that looks of one size are perceived at once
_LEAST_BLUR_PX = 0.2
_SAME = 1e-3  # u and back again is not exact
_QUANTILES = (0.01, 0.99)


def _row(name: str, low: float, high: float, default: float, unit: str, doc: str, *, is_log: bool = False) -> Parameter:
    return Parameter(name, "glance", low, high, default, unit, "log" if is_log else "linear", "ours", doc)


GLANCES: tuple[Parameter, ...] = (
    _row("glance_scale", 0.5, 1.5, 1.0, "1", "Size at which the image is looked at, in its own.", is_log=True),
    _row("glance_blur_px", 0.0, 3.0, 0.0, "px", "Gaussian blur in front of the eye."),
    _row("glance_gamma", 0.4, 2.5, 1.0, "1", "Exponent on the image's values, < 1 is more light.", is_log=True),
    _row("glance_stretch", 0.0, 1.0, 0.0, "1", "How far values are stretched to the whole range."),
)
#: Spread of looks of a perceiver that does not say, in u, chosen on 8 electron micrographs segmented by Felzenszwalb's
#: method (with 0.25 looks together lose there, with 0.06 they gain as much); and of glances, in units of it.
LOOK_SPREAD = 0.12
_GLANCE_SPREADS = {"glance_scale": 2.0, "glance_blur_px": 2.0, "glance_gamma": 2.0, "glance_stretch": 4.0}


@dataclass(frozen=True)
class GlancePercept(LabelPercept):
    """Label maps and strengths of boundary in the image's own frame, whoever saw them."""

    strength: Tensor | None = None  # (B, 1, H, W) in [0, 1]; None: where labels change

    @cached_property
    def boundary(self) -> Tensor:
        """(B, 1, H, W) in [0, 1]."""
        return super().boundary if self.strength is None else self.strength

    def __getitem__(self, index: Any) -> GlancePercept:
        """The percept of some images; an int keeps a batch axis of 1."""
        index = slice(index, index + 1 or None) if isinstance(index, int) else index
        return replace(
            self, segments=self.segments[index], strength=None if self.strength is None else self.strength[index]
        )


class GlancingPerceiver:
    """One or more perceivers of one table, each seen through :data:`GLANCES`.

    A plain look (the defaults of the glance, the first perceiver) is that perceiver's own percept, with its stages.

    Args:
        perceivers: with the same parameters; the defaults are those of the first. With more than one there is a
            parameter ``perceiver``, which of them looks.

    Raises:
        ValueError: none, or of other parameters.
    """

    answers: frozenset[str] = frozenset({"boundary"})

    def __init__(self, perceivers: Sequence[Perceiver]) -> None:
        if not perceivers or any(one.table.names != perceivers[0].table.names for one in perceivers):
            raise ValueError("expected one perceiver or more, all with the same parameters")
        self.perceivers = tuple(perceivers)
        self.name = "+".join(dict.fromkeys(one.name for one in perceivers)) + " glances"
        last = len(perceivers) - 1
        who = Parameter("perceiver", "glance", 0, max(last, 1), 0, "1", "int", "", f"Who looks: 0 .. {last}.")
        self.table = ParameterTable((*perceivers[0].table, *GLANCES, *((who,) if last else ())))
        inert = frozenset(perceivers[0].inert)
        self.inert = inert.intersection(*(one.inert for one in perceivers))
        self._remembered: OrderedDict[tuple[bytes, bytes], GlancePercept] = OrderedDict()

    @property
    def spreads(self) -> Mapping[str, float]:
        """How widely a panel varies each parameter, in u; who looks is drawn evenly.

        The perceivers' own by their ``look_spread`` (:data:`LOOK_SPREAD` where they have none), glances with it.
        """
        spread = float(getattr(self.perceivers[0], "look_spread", LOOK_SPREAD))
        glances = {name: times * spread for name, times in _GLANCE_SPREADS.items()}
        return dict.fromkeys(self.perceivers[0].table.names, spread) | glances | {"perceiver": math.inf}

    @property
    def device(self) -> torch.device:
        """Where its perceivers lie, all of them."""
        return device_of(self.perceivers[0])

    def cues(self, image: Tensor) -> None:
        """None: another light is another image."""
        del image

    def __call__(self, image: Tensor, theta: Theta | None = None, cues: Any = None) -> AbstractPercept:
        """Look at B images (B, 3, H, W), each at its own setting. What was looked at lately is not perceived again."""
        del cues
        theta = self.table.default_theta(len(image), image.device) if theta is None else theta
        self.table.check_theta(theta, len(image))
        with torch.no_grad():
            theta = to_device({name: value.detach() for name, value in theta.items()}, image.device)
            if self._is_plain(theta):
                return self._perceive(0, image, theta)
            return self._remembering(image, theta)

    def _is_plain(self, theta: Theta) -> bool:
        glance = [row for row in self.table if row.stage == "glance"]
        return all(bool(((theta[row.name] - row.default).abs() < _SAME).all()) for row in glance)

    def _remembering(self, image: Tensor, theta: Theta) -> GlancePercept:
        pixels = [_digest(one) for one in image]
        values = torch.stack([theta[name] for name in self.table.names], 1).cpu().numpy()
        keys = [(one, setting.tobytes()) for one, setting in zip(pixels, values, strict=True)]
        new = {key: i for i, key in enumerate(keys) if key not in self._remembered}
        fresh: dict[tuple[bytes, bytes], GlancePercept] = {}
        if new:
            rows = torch.tensor(list(new.values()), device=image.device)
            seen = self._look(image[rows], {name: value[rows] for name, value in theta.items()})
            fresh = {key: seen[i] for i, key in enumerate(new)}
        found = [fresh.get(key) or self._remembered[key] for key in keys]
        self._remembered.update(dict(zip(keys, found, strict=True)))
        n_px = sum(one.segments.numel() for one in self._remembered.values())
        while n_px > REMEMBERED_PX and len(self._remembered) > len(set(keys)):
            n_px -= self._remembered.popitem(last=False)[1].segments.numel()
        strengths = [one.boundary for one in found]
        return GlancePercept(torch.cat([one.segments for one in found]), strength=torch.cat(strengths))

    def _look(self, image: Tensor, theta: Theta) -> GlancePercept:
        steps = torch.round(torch.log2(theta["glance_scale"]) * _STEPS_PER_OCTAVE)
        who = theta["perceiver"].round() if "perceiver" in theta else torch.zeros_like(steps)
        seen = in_other_light(image, theta)
        kinds = torch.stack([who, steps], 1)
        size = (image.shape[-2], image.shape[-1])
        segments = torch.zeros(len(image), *size, dtype=torch.int64, device=image.device)
        strength = image.new_zeros(len(image), 1, *size)
        for kind in torch.unique(kinds, dim=0).tolist():
            rows = (kinds == kinds.new_tensor(kind)).all(1).nonzero()[:, 0]
            scaled = resized(seen[rows], 2 ** (kind[1] / _STEPS_PER_OCTAVE))
            asked = {name: value[rows] for name, value in theta.items()}
            try:
                percept = self._perceive(int(kind[0]), scaled, asked)
            except (RuntimeError, TypeError, ValueError) as error:
                error.args = (f"{error}; called with {_in_words(scaled, image, asked)}",)
                raise
            segments[rows] = percept.labels(size)
            boundary = percept.boundary
            if boundary.shape[-2:] != size:
                boundary = F.interpolate(boundary, size=size, mode="bilinear", align_corners=False)
            strength[rows] = boundary
        return GlancePercept(segments, strength=strength)

    def _perceive(self, who: int, image: Tensor, theta: Theta) -> AbstractPercept:
        perceiver = self.perceivers[who]
        return perceiver(image, {name: theta[name] for name in perceiver.table.names}, perceiver.cues(image))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_remembered": OrderedDict()}


def in_other_light(image: Tensor, theta: Theta) -> Tensor:
    """Images (B, 3, H, W) in [0, 1], stretched, blurred and brightened or darkened; the defaults change nothing."""
    stretch, blur_px, gamma = (theta[f"glance_{what}"].to(image.dtype) for what in ("stretch", "blur_px", "gamma"))
    if bool((stretch > 0).any()):
        low, high = torch.quantile(image.flatten(1), image.new_tensor(_QUANTILES), dim=1)
        whole = (image - low[:, None, None, None]) / (high - low).clamp_min(0.02)[:, None, None, None]
        image = torch.lerp(image, whole.clamp(0, 1), stretch[:, None, None, None])
    if bool((blur_px >= _LEAST_BLUR_PX).any()):
        is_blurred = (blur_px >= _LEAST_BLUR_PX)[:, None, None, None]
        image = torch.where(is_blurred, gaussian_blur(image, blur_px.clamp_min(_LEAST_BLUR_PX)).clamp(0, 1), image)
    is_plain = ((gamma - 1).abs() < _SAME)[:, None, None, None]
    return torch.where(is_plain, image, image ** gamma[:, None, None, None])


def resized(image: Tensor, ratio: float) -> Tensor:
    """Images (B, 3, H, W) at ``ratio`` times their size, but no side under what a cortex can see."""
    height, width = image.shape[-2:]
    ratio = max(ratio, MIN_SIDE_PX / min(height, width))
    if ratio == 1:
        return image
    size = (round(height * ratio), round(width * ratio))
    return F.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def _in_words(scaled: Tensor, image: Tensor, theta: Theta) -> str:
    """In what size and light looks were, for whoever wonders where an image of that size comes from."""
    (height, width), (own_height, own_width) = scaled.shape[-2:], image.shape[-2:]
    size = "" if (height, width) == (own_height, own_width) else f", of an image of {own_width} x {own_height} px"
    gammas = [f"{float(value):.2g}" for value in (theta["glance_gamma"].min(), theta["glance_gamma"].max())]
    return f"a {width} x {height} px look{size}, gamma {' to '.join(dict.fromkeys(gammas))} (looks: see --answer)"


def _digest(image: Tensor) -> bytes:
    return hashlib.blake2b(image.contiguous().cpu().numpy().tobytes(), digest_size=16).digest()
