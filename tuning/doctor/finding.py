"""One thing found, and checks that cannot end the look at the others."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED
from ciliary.tuning.doctor.settings import DoctorSettings
from ciliary.tuning.runs.secrets import masked


class Level(Enum):
    """How things are."""

    WELL = "well"
    NOTE = "note"  # nothing is wrong; something does less than it could
    MISSING = "missing"  # asked for, and not there
    BROKEN = "broken"  # needed by everybody


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        topic: what it is about, such as ``store``; several in a row may be about the same.
        text: what was found, in a line.
        level: how it is.
        do: what to do about it; nothing where there is nothing to do.
        values: the same in parts, of JSON types.
    """

    topic: str
    text: str
    level: Level = Level.WELL
    do: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def examine(checks: Mapping[str, str], settings: DoctorSettings) -> list[Finding]:
    """All findings of all checks, in order; one that fails is itself a finding, and ends no other.

    Args:
        checks: by topic, ``module:function`` of settings, which gives findings.
        settings: what they are told.
    """
    found: list[Finding] = []
    for topic, path in checks.items():
        module, _, name = path.partition(":")
        try:
            check: Callable[[DoctorSettings], Iterable[Finding]] = getattr(importlib.import_module(module), name)
            found += check(settings)
        except Exception as error:  # noqa: BLE001 -- whatever it is that is broken here
            text = f"could not be looked at: {type(error).__name__}: {' '.join(masked(str(error)).split())}"
            found.append(Finding(topic, text, Level.BROKEN))
    return found


def exit_code(findings: Iterable[Finding]) -> int:
    """0 all well, 1 something is broken, 3 something is missing that was asked for."""
    levels = {one.level for one in findings}
    if Level.BROKEN in levels:
        return NOTHING
    return SOME_FAILED if Level.MISSING in levels else ALL_WELL
