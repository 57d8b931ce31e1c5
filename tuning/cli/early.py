"""What can be said before torch is imported: that a name is unknown, or that nothing lies where images are to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ciliary.agents.options import CONTROLLERS, EYE_CONTROLLERS, wrong_controller
from ciliary.tuning.cli.options import Check
from ciliary.tuning.runs.record import printable

_FOCUSING = (*(name for name in EYE_CONTROLLERS if name.startswith(("lens-", "pupil-"))), "tpe", "cmaes", "gp", "nsga2")
_OTHER_SOURCES = ("bundled", "scenes")  # no paths, where a command takes them


def _wrong_focuser(value: str) -> str | None:
    return None if value in ("", *CONTROLLERS, *EYE_CONTROLLERS) else wrong_controller(value, _FOCUSING)


def _wrong_disturbance(value: Sequence[str]) -> str | None:
    if not value:
        return None
    from ciliary.envs.options import kind_and_severity  # brings NumPy, for which --help does not wait

    for text in value:
        try:
            kind_and_severity(text)
        except ValueError as error:
            return f"has an {error}" if str(error).startswith("unknown") else str(error)
    return None


def _wrong_objective(value: str) -> str | None:
    if not value:
        return None
    from ciliary.envs.options import wrong_objective

    return wrong_objective(value)


#: Of fields of settings.
ACCOMMODATES = Check(lambda value: wrong_controller(value) if value else None)
FOCUSES = Check(_wrong_focuser)
DISTURBANCES = Check(_wrong_disturbance)
OBJECTIVE = Check(_wrong_objective)


def nothing_there(paths: Sequence[Any]) -> list[str]:
    """A line for each path where all are missing, or folders without any file; none where one may give images."""
    if not paths or any(_may_give(path) for path in paths):
        return []
    from ciliary.envs.data.finding import expand_paths

    found, problems = expand_paths(paths)
    return [] if found else [printable(str(problem)) for problem in problems]


def _may_give(path: Any) -> bool:
    if not isinstance(path, (str, Path)) or str(path) in _OTHER_SOURCES:
        return True
    return Path(path).is_file() or (Path(path).is_dir() and any(one.is_file() for one in Path(path).rglob("*")))
