"""What an explanation is about: any number that a cortex says of an image, by name, and its value on other images.

Each is made for one look. On the undisturbed image ``code`` and ``slot:K`` are 1, the most they can be: how much of it
stays when the image is disturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import to_device
from ciliary.cortex.explain.scalars import Scalars
from ciliary.cortex.parameters import repeat_theta
from ciliary.cortex.percept import Percept
from ciliary.cortex.plot.look import Look, proto_objects
from ciliary.cortex.stages.m5_recognition import image_code
from ciliary.envs.objective.recognition import RECOGNITION_TERMS
from ciliary.envs.objective.reference import make_reference
from ciliary.envs.objective.terms import TERMS, Objective, ObjectiveSettings, pooled_size
from ciliary.envs.objective.views import apply_views, sample_views, way_back
from ciliary.tuning.inspect.settings import DEFAULT_TARGETS, TARGET_KINDS

Scalar = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [0, 1] to one number each, (B,)."""
Reading = Callable[[Percept], Tensor]
"""A percept of B images to one number each, (B,)."""

_NEED_VIEWS = ("total", "stability", "consistency", "code_stability")


@dataclass(frozen=True, eq=False)
class Target:
    """A number that can be asked of any image of the size of the one that was looked at.

    Attributes:
        name: as the user wrote it.
        words: what it says, as the end of a sentence.
        of: images (B, 3, H, W) in [0, 1] to (B,) float32, where the cortex lies; all at the setting of the look.
        is_differentiable: whether ``of`` has a gradient in the images.
        read: the same of a percept, where nothing but the percept is needed; None of terms that need views.
        region: (H, W) bool, the part of the image it is about; None: all of it.
    """

    name: str
    words: str
    of: Scalar
    is_differentiable: bool
    read: Reading | None = None
    region: np.ndarray | None = None


def make_targets(look: Look, names: Sequence[str] = DEFAULT_TARGETS, *, seed: int = 0) -> tuple[Target, ...]:
    """Targets of one look, by name.

    Args:
        look: the undisturbed image, and the cortex and setting that looked at it.
        names: ``code``, ``slot:K`` and ``gate:K`` (K from 1, as the figures of M5 count proto-objects and experts),
            ``term:NAME``, ``field:STAGE.NAME`` or ``field:STAGE.NAME:CHANNEL`` (from 0).
        seed: of the views that terms of the objective are measured by.

    Raises:
        ValueError: there is no such number here; the message lists what there is.
    """
    image = look.image[None].to(look.cortex.device).requires_grad_()
    with torch.enable_grad():  # what has a gradient is found by asking for one
        seen = perceiver_of(look)(image)
        found = [_make(look, name, seed, seen) for name in names]
    return tuple(found)


def perceiver_of(look: Look) -> Callable[[Tensor], Percept]:
    """Images (B, 3, H, W) to their percept, at the setting of a look."""
    theta = to_device(look.theta, look.cortex.device)
    return lambda images: look.cortex(images, repeat_theta(theta, len(images)))


def together(look: Look, targets: Sequence[Target]) -> Scalars:
    """All targets at once: images to (B, T). Those that need nothing but the percept share one."""
    perceive = perceiver_of(look)

    def of(images: Tensor) -> Tensor:
        percept = perceive(images) if any(target.read is not None for target in targets) else None
        return torch.stack([
            target.of(images) if target.read is None or percept is None else target.read(percept) for target in targets
        ], 1)  # fmt: skip

    return of


def _make(look: Look, name: str, seed: int, seen: Percept) -> Target:
    kind, _, rest = name.partition(":")
    if kind not in TARGET_KINDS or bool(rest) == (kind == "code"):
        raise ValueError(f"no target {name!r}; choose from {', '.join(TARGET_KINDS.values())}")
    if kind == "term":
        return _term(look, name, rest, seed, seen)
    makers: Mapping[str, Callable[[Look, str, Percept], tuple[str, Reading]]] = {
        "code": _code,
        "slot": _slot,
        "gate": _gate,
        "field": _field,
    }
    words, read = makers[kind](look, rest, seen)
    perceive = perceiver_of(look)
    region = proto_objects(look.percept)[int(rest) - 1].mask if kind == "slot" else None
    return Target(name, words, lambda images: read(perceive(images)), read(seen).requires_grad, read, region)


def _code(look: Look, rest: str, seen: Percept) -> tuple[str, Reading]:
    del rest, seen
    own = image_code(look.percept).to(look.cortex.device)
    return "how like its own the image's code stays (cosine)", lambda p: F.cosine_similarity(image_code(p), own)


def _slot(look: Look, rest: str, seen: Percept) -> tuple[str, Reading]:
    """The best fit among all masks: in a disturbed image the same thing may come to lie in another slot."""
    del seen
    objects = proto_objects(look.percept)
    one = objects[_count(rest, len(objects), "proto-objects of this image", "slot")]
    own = look.percept.masks[:, one.slot : one.slot + 1].to(look.cortex.device)

    def read(percept: Percept) -> Tensor:
        shared, union = torch.minimum(percept.masks, own), torch.maximum(percept.masks, own)
        return (shared.sum((2, 3)) / union.sum((2, 3)).clamp_min(1e-6)).amax(1)

    return f"how much of proto-object {rest} stays (soft intersection over union of its mask)", read


def _gate(look: Look, rest: str, seen: Percept) -> tuple[str, Reading]:
    del look
    if seen.m5 is None or seen.m5.gate.shape[2] == 1:
        raise ValueError(f"gate:{rest} is of experts, which this cortex has none of; look with --learned m5")
    i = _count(rest, seen.m5.gate.shape[2], "experts", "gate")

    def read(percept: Percept) -> Tensor:
        assert percept.m5 is not None
        return (percept.m5.weight * percept.m5.gate[..., i]).sum(1)

    return f"how much of the image expert {rest} answers for", read


def _field(look: Look, rest: str, seen: Percept) -> tuple[str, Reading]:
    del look
    name, _, channel = rest.partition(":")
    stage, _, attribute = name.partition(".")
    known = fields_of(seen)
    if name not in known:
        of_stage = [one for one in known if one.startswith(f"{stage}.")]
        raise ValueError(f"no field {name!r}; choose from {', '.join(of_stage or known)}")
    i = _channel(channel, known[name], name)

    def read(percept: Percept) -> Tensor:
        values: Tensor = getattr(getattr(percept, stage), attribute)
        return (values if i is None else values[:, i]).flatten(1).mean(1)

    return f"the mean of {name}" + ("" if i is None else f", channel {i}"), read


def fields_of(percept: Percept) -> dict[str, tuple[int, ...]]:
    """What ``field:`` knows: ``stage.name`` of every field of numbers, to its shape without the batch."""
    found = {}
    for stage in ("retina", "m1", "m2", "m3", "m4", "m5"):
        answer = getattr(percept, stage)
        if not is_dataclass(answer):
            continue
        drawn = [name for name, value in vars(type(answer)).items() if isinstance(value, cached_property)]
        for name in (*(f.name for f in fields(answer)), *drawn):
            value = getattr(answer, name)
            if isinstance(value, Tensor) and value.is_floating_point():
                found[f"{stage}.{name}"] = tuple(value.shape[1:])
    return found


def _channel(text: str, shape: tuple[int, ...], name: str) -> int | None:
    if not text:
        return None
    if not (text.isdecimal() and len(shape) > 1 and int(text) < shape[0]):
        has = f"channels 0 to {shape[0] - 1}" if len(shape) > 1 else "no channels"
        raise ValueError(f"{name} has {has}, got {text!r}")
    return int(text)


def _count(text: str, n: int, what: str, kind: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= n):
        raise ValueError(f"expected {kind}:K with K from 1 to {n}, the {what}, got {kind}:{text}")
    return int(text) - 1


def _term(look: Look, name: str, term: str, seed: int, seen: Percept) -> Target:
    known = ("total", *TERMS, *RECOGNITION_TERMS)
    if term not in known:
        raise ValueError(f"no term {term!r}; choose from {', '.join(known)}")
    weights: dict[str, Any] = {term: 1.0} if term in RECOGNITION_TERMS else {}  # unmeasured without one
    objective = Objective(ObjectiveSettings(**weights))
    objective.check(look.cortex)
    n_views = objective.n_views if term in _NEED_VIEWS else 0
    views = sample_views(seed, n_photometric=(n_views + 1) // 2, n_geometric=n_views // 2)
    perceive = perceiver_of(look)

    def of(images: Tensor) -> Tensor:
        size = (images.shape[-2], images.shape[-1])
        pooled = pooled_size(*size, stride=objective.settings.stride)
        stack = torch.cat([images[None], apply_views(images, views)]).transpose(0, 1)  # (B, 1+V, 3, H, W)
        back = None
        if n_views:
            way = to_device(way_back(views, size=pooled, image_size=size), images.device)
            rows = torch.arange(views.n_photometric, n_views, device=images.device).repeat(len(images))
            back = way[rows]
        found = objective(
            perceive(stack.flatten(0, 1)),
            make_reference(images, size=pooled),
            back,
            n_views=n_views,
            n_photometric=views.n_photometric,
            images=images,
        )
        return found[term]

    words = f"the objective's {term.replace('_', ' ')} (lower is better)"
    return Target(name, words, of, seen.masks.requires_grad)
