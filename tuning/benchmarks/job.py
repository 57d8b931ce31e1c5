"""An exam as a job: named images in; a page, figures and numbers out; an exit code."""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.stages.m5_learned import ExpertBank
from ciliary.cortex.stages.weights import load_stages
from ciliary.envs.data.labelled import read_bsds
from ciliary.tuning.benchmarks.completion import Occluder, occlude
from ciliary.tuning.benchmarks.contour_exam import n_steps, sit
from ciliary.tuning.benchmarks.data import read_named
from ciliary.tuning.benchmarks.energy import energy
from ciliary.tuning.benchmarks.few_shot import few_shot, possible_shots
from ciliary.tuning.benchmarks.findings import Findings
from ciliary.tuning.benchmarks.occlusion import CLEAN, CONDITIONS, occlusion
from ciliary.tuning.benchmarks.perceive import Eye, Look
from ciliary.tuning.benchmarks.pictures import NamedImages
from ciliary.tuning.benchmarks.representations import representations
from ciliary.tuning.benchmarks.settings import CONTOURS, ENERGY, FEW_SHOT, OCCLUSION, ExamSettings
from ciliary.tuning.benchmarks.tokens import Tokens
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import terminable
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import code_mark, versions
from ciliary.tuning.runs.tables import pairs_to_markdown
from ciliary.tuning.sessions.figures import write_figure

TITLES = {
    FEW_SHOT: "Final exam: naming from few examples",
    OCCLUSION: "Final exam: robustness to occlusion",
    ENERGY: "Final exam: energy",
    CONTOURS: "Contours completed: the association field, and lifted to position and angle",
}
_CONTOURS_SIZE_PX = 192
DEEP_WARNING = (
    "the backbone learned the names of ImageNet's 1000 classes: where classes are among them, or test images among its "
    "training images, what is told of deep features is no measure of learning from few examples"
)


def run(settings: ExamSettings) -> int:
    """Sit an exam; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images could not be read, 130 stopped by Ctrl-C or
        SIGTERM; what was perceived is kept, and the same call goes on from there.
    """
    if settings.exam == CONTOURS:
        return _examine_contours(settings)
    start = time.perf_counter()
    try:
        eye = Eye(settings.look, settings.out / "tokens")
        net = _bank(settings.look)
        named = read_named(settings.data, settings.reading)
        possible_shots(named, settings.tried)  # before an hour of perceiving
    except (ValueError, OSError) as error:
        complain("examine", error)
        return USAGE
    for line in named.problems:
        complain("examine", line)
    try:
        with terminable():
            findings, seconds = _sit(settings, named, eye, net)
            page = write_findings(settings, named, findings, perceiving_s=seconds, total_s=time.perf_counter() - start)
    except KeyboardInterrupt:
        complain("examine", "stopped; what was perceived is kept, the same command goes on from here")
        return STOPPED
    except (ProviderUnavailable, ValueError, RuntimeError, OSError) as error:
        complain("examine", error)
        return NOTHING
    _tell(settings, findings, page)
    return SOME_FAILED if named.problems else 0


def _examine_contours(settings: ExamSettings) -> int:
    start = time.perf_counter()
    try:
        data = read_bsds(settings.data, settings.split, n_images=settings.n_images)
    except (ValueError, OSError) as error:
        complain("examine", error)
        return USAGE
    size_px = settings.size_px or _CONTOURS_SIZE_PX
    try:
        with terminable(), Bar(n_steps(len(data)), title="completing", is_quiet=settings.is_quiet) as bar:
            findings = sit(data, size_px=size_px, seed=settings.seed, progress=bar.advance)
        about = {
            "images": f"{len(data)} of BSDS500's {settings.split} photographs",
            "cortex": f"mathematical, default setting, at {size_px} px",
            **_when(time.perf_counter() - start),
        }
        page = write_page(settings, findings, about)
    except KeyboardInterrupt:
        complain("examine", "stopped")
        return STOPPED
    except (ValueError, RuntimeError, OSError) as error:
        complain("examine", error)
        return NOTHING
    _tell(settings, findings, page)
    return 0


def _tell(settings: ExamSettings, findings: Findings, page: Path) -> None:
    if settings.is_quiet:
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    for table in findings.tables:
        console.print(table.grid())
    for note in findings.notes:
        console.print(f"note: {note}", soft_wrap=True)
    console.print(f"results  {page}", markup=False, soft_wrap=True)


def write_findings(
    settings: ExamSettings, named: NamedImages, findings: Findings, *, perceiving_s: float, total_s: float
) -> Path:
    """The page of an exam of naming; see :func:`write_page`."""
    about = _about(settings, named, perceiving_s, total_s) | dict(findings.about)
    return write_page(settings, findings, about, problems=named.problems)


def write_page(
    settings: ExamSettings, findings: Findings, about: Mapping[str, str], *, problems: Sequence[str] = ()
) -> Path:
    """``exam_<name>.md``, its figures, and ``exam_<name>.json`` with all numbers; returns the page."""
    stem = f"exam_{settings.exam.replace('-', '_')}"
    lines = [f"# {TITLES[settings.exam]}", "", pairs_to_markdown(about)]
    lines += [*(f"- {note}" for note in findings.notes), *([""] if findings.notes else [])]
    lines += [f"- left out: {line}" for line in problems]
    for i, (title, figure) in enumerate(findings.figures.items()):
        name = f"{stem}.png" if i == 0 else f"{stem}_{title.lower().replace(' ', '_')}.png"
        write_figure(figure, settings.out / name)
        lines += ["", f"![{title}]({name})"]
    lines += ["", *(table.markdown() for table in findings.tables)]
    numbers = {"exam": settings.exam, "about": dict(about), "notes": list(findings.notes), **findings.numbers}
    write_atomically(settings.out / f"{stem}.json", json.dumps(numbers, indent=1, ensure_ascii=False).encode() + b"\n")
    return write_atomically(settings.out / f"{stem}.md", "\n".join(lines).encode() + b"\n")


def _sit(settings: ExamSettings, named: NamedImages, eye: Eye, net: ExpertBank | None) -> tuple[Findings, float]:
    """Perceive and examine; also the median seconds of perceiving an image, when it was perceived."""
    look = settings.look
    found = representations(look, has_runs=named.has_runs)
    conditions = CONDITIONS if settings.exam == OCCLUSION else ()
    common = {"n_episodes": settings.n_episodes, "seed": settings.seed}
    n_images = len(named.train) + len(named.test) * (1 + len(conditions))
    with Bar(n_images, title="perceiving", is_quiet=settings.is_quiet) as bar:
        more = bar.advance
        train, test = (eye.perceive(half.images, more) for half in (named.train, named.test))
        hidden: dict[Occluder, Tokens] = {CLEAN: test}
        for one in conditions:
            hidden[one] = eye.perceive(occlude(named.test.images, one, seed=settings.seed), more)
        bar.next("naming", len(found) if settings.exam != ENERGY else None)
        if settings.exam == FEW_SHOT:
            findings = few_shot(named, train, test, found, shots=settings.tried, progress=more, **common)
        elif settings.exam == OCCLUSION:
            findings = occlusion(named, train, hidden, found, net, n_shots=settings.tried[0], progress=more, **common)
        else:
            findings = energy(named, train, test, eye.cortex, net, n_shots=settings.tried[0], progress=more, **common)
    return findings, float(np.median(test.seconds))


def _bank(look: Look) -> ExpertBank | None:
    """The experts of the learned M5.

    Raises:
        FileNotFoundError, ValueError: as :func:`~ciliary.cortex.stages.weights.load_stages`.
    """
    if look.learned:
        stages = load_stages(look.learned, look.weights)
        return stages["m5"].net if look.has_learned_m5 else None  # type: ignore[return-value]
    return None


def _about(settings: ExamSettings, named: NamedImages, perceiving_s: float, total_s: float) -> dict[str, str]:
    look = settings.look
    weights = (
        "" if not look.learned else f", weights {'that come along' if look.weights is None else look.weights.name}"
    )
    n_classes = f"{named.n_classes} classes" + (" in each run" if named.has_runs else "")
    known = {} if look.deep == "none" else {"deep features": DEEP_WARNING}
    return known | {
        "images": f"{named.source}: {len(named.train)} to take examples from, {len(named.test)} to name, {n_classes}",
        "cortex": f"default setting at {named.size_px} px; learned: {', '.join(look.learned) or 'nothing'}{weights}; "
        f"inherited: {look.inherited}; deep features: {look.deep}; the {look.n_tokens} heaviest proto-objects of each "
        "image",
        "perceiving": f"{1000 * perceiving_s:.0f} ms an image (when it was perceived)",
        **_when(total_s),
    }


def _when(total_s: float) -> dict[str, str]:
    return {
        "computing": f"{total_s:.0f} s, this call",
        "commit": f"{versions().get('commit', 'unknown')} (code mark {code_mark(rooms=('cortex', 'tuning/exams'))})",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }
