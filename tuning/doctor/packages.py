"""Which Ciliary this is, on which Python, among which packages: read from what pip wrote down; nothing is imported."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from ciliary.cortex.installing import NAME, editable_sources, install_extra, pip_install
from ciliary.tuning.doctor.finding import Finding, Level
from ciliary.tuning.doctor.settings import EXTRAS, DoctorSettings
from ciliary.tuning.runs.fingerprints import ROOT, versions

LEAST_PYTHON = (3, 10)


def install(settings: DoctorSettings) -> Iterator[Finding]:
    """Ciliary itself: its version, whether it is a wheel or a folder of sources, and the commit of these."""
    del settings
    commit = versions().get("commit", "")
    try:
        ours = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        text = f"not installed; it runs from the sources in {ROOT}"
        yield Finding("ciliary", text, Level.NOTE, pip_install("-e", str(ROOT)), {"root": str(ROOT), "commit": commit})
        return
    sources = editable_sources(ours)
    kind = "a wheel" if sources is None else "sources, editable"
    values = {"version": ours.version, "kind": kind, "root": str(ROOT), "commit": commit}
    words = f"{ours.version}, {kind}, in {ROOT}" + (f", commit {commit}" if commit else "")
    expected = Path(str(ours.locate_file(NAME))) if sources is None else sources
    if expected.resolve() != ROOT:
        note = f"{words}; but what pip installed is in {expected}"
        yield Finding("ciliary", note, Level.NOTE, "look at PYTHONPATH and at sys.path", values)
    else:
        yield Finding("ciliary", words, values=values)
    stated = version_of_sources(ROOT)
    if sources is not None and stated not in ("", ours.version):
        text = f"pip knows version {ours.version}, the sources are {stated}"
        yield Finding("ciliary", text, Level.NOTE, pip_install("-e", str(sources)))


def version_of_sources(root: Path) -> str:
    """The version in ``pyproject.toml``; empty where there is none."""
    page = root / "pyproject.toml"
    lines = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    return next((line.split('"')[1] for line in lines if line.startswith('version = "')), "")


def python(settings: DoctorSettings) -> Iterator[Finding]:
    """Python and the system."""
    del settings
    version = platform.python_version()
    values = {"version": version, "executable": sys.executable, "platform": platform.platform()}
    text = f"{version}, {sys.executable}, {platform.platform()}"
    if sys.version_info < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        yield Finding("python", text, Level.BROKEN, f"use Python {least} or newer", values)
    else:
        yield Finding("python", text, values=values)


def packages(settings: DoctorSettings) -> Iterator[Finding]:
    """What Ciliary needs, and what that needs: there, and in versions that fit."""
    del settings
    needs = requirements(NAME)
    found = {need.name: version(need.name) for need in needs}
    there = {name: one for name, one in found.items() if one}
    if not needs:
        text = "what is needed is written where Ciliary is installed, and it is not"
        yield Finding("packages", text, Level.NOTE, values=versions())
        return
    yield Finding("packages", ", ".join(f"{name} {one}" for name, one in there.items()), values=there)
    for need in needs:
        yield from _unfit("ciliary", need)
    for name in there:  # a torchvision of another torch fails where it is imported, with words about an operator
        for need in requirements(name):
            yield from _unfit(name, need)


def extras(settings: DoctorSettings) -> Iterator[Finding]:
    """Each extra: there or not, what it is for, and how to get it."""
    for extra, purpose in EXTRAS.items():
        needs = requirements(NAME, extra)
        if not needs:
            level = Level.MISSING if extra in settings.extras else Level.NOTE
            text = f"{extra}: not known to the Ciliary that is installed ({purpose})"
            values = {"name": extra, "purpose": purpose, "is_there": False}
            yield Finding("extras", text, level, "install Ciliary again: it is older than its sources", values)
            continue
        wrong = [problem for need in needs if (problem := misfit(need))]
        values = {"name": extra, "purpose": purpose, "is_there": not wrong}
        if not wrong:
            there = ", ".join(f"{need.name} {version(need.name)}" for need in needs)
            yield Finding("extras", f"{extra}: {there} ({purpose})", values=values)
            continue
        level = Level.MISSING if extra in settings.extras else Level.NOTE
        yield Finding("extras", f"{extra}: {'; '.join(wrong)} ({purpose})", level, install_extra(extra), values)


def requirements(name: str, extra: str = "") -> list[Requirement]:
    """What a package needs here: of an extra, or without any. Nothing of a package that is not there."""
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    found = [Requirement(line) for line in lines]
    if not extra:
        return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]
    return [one for one in found if one.marker is not None and one.marker.evaluate({"extra": extra})]


def misfit(need: Requirement) -> str:
    """What is wrong with what is needed, in words; nothing where it is there and fits."""
    found = version(need.name)
    if not found:
        return f"{need.name} is not installed"
    if not need.specifier.contains(Version(found), prereleases=True):
        return f"{need.name} is {found}, not {need.specifier}"
    return ""


def version(name: str) -> str:
    """Of a package; empty where it is not installed."""
    try:
        return metadata.version(name) or ""
    except metadata.PackageNotFoundError:
        return ""


def _unfit(who: str, need: Requirement) -> Iterator[Finding]:
    if problem := misfit(need):
        do = pip_install(f"{need.name}{need.specifier}")
        yield Finding("packages", f"{problem}, which {who} needs", Level.BROKEN, do)
