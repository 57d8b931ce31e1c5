"""Looks at everything and tells it. An exit code."""

from __future__ import annotations

import json

from rich.console import Console
from rich.text import Text

from ciliary.tuning.doctor.finding import Finding, Level, examine, exit_code
from ciliary.tuning.doctor.settings import DoctorSettings

#: Topic -> its check, imported when it is its turn: what it needs may be what is broken.
CHECKS = {
    "ciliary": "ciliary.tuning.doctor.packages:install",
    "python": "ciliary.tuning.doctor.packages:python",
    "packages": "ciliary.tuning.doctor.packages:packages",
    "extras": "ciliary.tuning.doctor.packages:extras",
    "device": "ciliary.tuning.doctor.machine:device",
    "weights": "ciliary.tuning.doctor.weights:weights",
    "results": "ciliary.tuning.doctor.places:results",
    "store": "ciliary.tuning.doctor.store:store",
    "caches": "ciliary.tuning.doctor.places:caches",
}
_STYLES = {Level.WELL: "", Level.NOTE: "dim", Level.MISSING: "yellow", Level.BROKEN: "red"}
_WIDTH = 1 + max(map(len, CHECKS))


def run(settings: DoctorSettings) -> int:
    """Look, tell, and say by the exit code how things are.

    Returns:
        0 all well, 1 something is broken, 3 something is missing that was asked for.
    """
    findings = examine(CHECKS, settings)
    code = exit_code(findings)
    if settings.is_json:
        print(json.dumps(as_json(findings, code), indent=1, ensure_ascii=False))
        return code
    told = [one for one in findings if not settings.is_quiet or one.level in (Level.MISSING, Level.BROKEN)]
    stdout = Console(highlight=False, soft_wrap=True)
    topic = ""
    for one in told:
        stdout.print(in_line(one, is_first=one.topic != topic))
        topic = one.topic
    if not settings.is_quiet:
        stdout.print(verdict(findings), markup=False)
    return code


def in_line(one: Finding, *, is_first: bool = True) -> Text:
    """``topic  text``, and what to do below it; the topic only before the first of its lines."""
    head = one.topic if is_first else ""
    mark = "" if one.level is Level.WELL else f"{one.level.value}: "
    line = Text(f"{head:<{_WIDTH}}{mark}{one.text}", style=_STYLES[one.level])
    return line.append(f"\n{'':<{_WIDTH}}  -> {one.do}") if one.do else line


def verdict(findings: list[Finding]) -> str:
    """``all well``, or how much is broken and missing."""
    counts = {level: sum(one.level is level for one in findings) for level in (Level.BROKEN, Level.MISSING)}
    return ", ".join(f"{n} {level.value}" for level, n in counts.items() if n) or "all well"


def as_json(findings: list[Finding], code: int) -> dict[str, object]:
    """The same for programs."""
    rows = [
        {"topic": one.topic, "level": one.level.value, "text": one.text, "do": one.do, "values": dict(one.values)}
        for one in findings
    ]
    return {"verdict": verdict(findings), "exit_code": code, "findings": rows}
