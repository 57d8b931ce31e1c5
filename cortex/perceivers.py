"""Perceivers by name, as ``module:object``, or as an object."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from torch import nn

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.device import choose_device
from ciliary.cortex.glance import GlancingPerceiver
from ciliary.cortex.loading import load_object, names_object, object_mark
from ciliary.cortex.model import Cortex
from ciliary.cortex.options import GLANCES, INHERITED
from ciliary.cortex.perceiver import Perceiver, check_perceiver
from ciliary.cortex.segmenters import SEGMENTERS, SegmenterPerceiver
from ciliary.cortex.stages.inherited import shipped


def make_perceiver(asked: Any = None, *, n_workers: int = 1, device: str | None = None) -> Perceiver:
    """A perceiver.

    Args:
        asked: None or ``cortex``; a mapping of a cortex's keyword arguments; a name of
            :data:`~ciliary.cortex.segmenters.SEGMENTERS`; ``glances`` (:func:`make_glancing` of the inherited cortex),
            ``glances:contours+all`` (of cortices by what they inherit) or ``glances:NAME`` (of any other);
            ``module:object``; a perceiver, or what makes one without
            arguments (a class, a function); or a function ``segment(image, **parameters) -> label map``.
        n_workers: processes that share the calls of a segmentation function named or given here.
        device: where what is built here lies, as :func:`~ciliary.cortex.device.choose_device` has it; None: the CPU. A
            perceiver that is handed in stays where it is.

    Raises:
        ValueError: there is no such name, module, object or device.
        TypeError: what was found is no perceiver.
    """
    if asked is None or isinstance(asked, Mapping):
        cortex = Cortex(**(asked or {})).eval().requires_grad_(False)
        return cortex if device is None else cortex.to(choose_device(device))
    if not isinstance(asked, str):
        return _as_perceiver(asked, n_workers)
    if asked == "cortex":
        return make_perceiver(device=device)
    if asked in SEGMENTERS:
        return SEGMENTERS[asked](n_workers=n_workers)
    if asked.partition(":")[0] == GLANCES:
        return _glances(asked.partition(":")[2], n_workers, device)
    if not names_object(asked):
        known = ", ".join(("cortex", *SEGMENTERS, GLANCES))
        raise ValueError(f"unknown perceiver {asked!r}; choose from {known}, or name your own as module:object")
    found = load_object(asked, what="perceiver")
    try:
        made = _as_perceiver(found, n_workers)
    except TypeError as error:
        raise TypeError(f"perceiver {asked!r}: {error}") from error
    except ValueError as error:
        raise ValueError(f"perceiver {asked!r}: {error}") from error
    return made.to(choose_device(device)) if device is not None and isinstance(made, nn.Module) else made


def make_glancing(asked: Any = None, *, n_workers: int = 1, device: str | None = None) -> GlancingPerceiver:
    """A perceiver that looks in other light and at other sizes, too.

    A cortex that inherits contours, and nothing else of the user's, is joined by one that inherits all, where the
    weights of its trunk can be had: two that err differently.

    Args:
        asked: as :func:`make_perceiver` takes it, or a perceiver.
        n_workers, device: as there.
    """
    first = make_perceiver(asked, n_workers=n_workers, device=device)
    if isinstance(first, GlancingPerceiver):
        return first
    others: list[Perceiver] = []
    own = {k: v for k, v in asked.items() if v not in ("none", None, False)} if isinstance(asked, Mapping) else None
    if own == {"inherited": "contours"}:
        with suppress(ProviderUnavailable):
            others.append(make_perceiver({"inherited": "all"}, device=device))
    return GlancingPerceiver([first, *others])


def _glances(of: str, n_workers: int, device: str | None) -> GlancingPerceiver:
    kinds = of.split("+")
    if not of:
        return make_glancing({"inherited": "contours"}, device=device)
    if all(kind in INHERITED for kind in kinds):
        return GlancingPerceiver([make_perceiver({"inherited": kind}, device=device) for kind in kinds])
    return make_glancing(of, n_workers=n_workers, device=device)


def perceiver_mark(asked: str) -> str:
    """What numbers that depend on a perceiver are stored with: its name; a user's own with a digest of its source.

    Of glances, also a mark of the inherited stages that look.
    """
    head, _, of = asked.partition(":")
    if head != GLANCES:
        return object_mark(asked, what="perceiver") if names_object(asked) else asked
    kinds = of.split("+") if of else list(INHERITED[1:])
    if not set(kinds) <= set(INHERITED):
        return f"{GLANCES}:{perceiver_mark(of)}"
    weights = b"".join(shipped(kind).read_bytes() for kind in kinds if kind != "none" and shipped(kind).is_file())
    return f"{asked} {hashlib.sha256(weights).hexdigest()[:16]}"


def _as_perceiver(found: Any, n_workers: int) -> Perceiver:
    is_perceiver = any(hasattr(found, name) for name in ("table", "answers", "cues"))
    if isinstance(found, type) or (callable(found) and not is_perceiver and not _takes_an_image(found)):
        return _as_perceiver(found(), n_workers)
    if callable(found) and not is_perceiver:
        return SegmenterPerceiver(found, n_workers=n_workers)
    return check_perceiver(found)


def _takes_an_image(function: Callable[..., Any]) -> bool:
    """Whether it cannot be called without an argument: what can makes a perceiver, what cannot segments."""
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return any(p.kind in by_place and p.default is p.empty for p in parameters)
