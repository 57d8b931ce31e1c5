"""The cortex that settings ask for, in words and as options, and a mark of what it learned for whatever is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from ciliary.cortex.stages import weights


def cortex_options(*, depth: str, features: str, learned: Collection[str] = ()) -> dict[str, Any]:
    """Keyword arguments of a cortex, in JSON types. Nothing is said of learned stages where there are none, so that
    what was measured before there were any keeps its name."""
    options: dict[str, Any] = {"depth": depth, "features": features}
    return options | ({"learned": list(weights.stage_names(learned))} if learned else {})


def learned_mark(learned: Collection[str]) -> str:
    """The learned stages and 16 hex digits of the file they come from; empty without any.

    Raises:
        FileNotFoundError, ValueError: as :func:`ciliary.cortex.stages.weights.load_stages`.
    """
    if not learned:
        return ""
    names = tuple(weights.load_stages(learned))  # better now than in a worker: is each of them there?
    return f"{','.join(names)} {hashlib.sha256(weights.SHIPPED.read_bytes()).hexdigest()[:16]}"


def described(options: Mapping[str, Any]) -> str:
    """Options in words: ``depth none, features none, learned m2 m5``."""
    words = {name: " ".join(value) if isinstance(value, list) else value for name, value in options.items()}
    return ", ".join(f"{name} {value}" for name, value in words.items())
