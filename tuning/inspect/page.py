"""The page of one look: a single HTML file that holds its pictures, for any browser, without a network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ciliary.cortex.parameters import PARAMETERS, Theta
from ciliary.cortex.plot import style
from ciliary.cortex.profile import StageReport, render
from ciliary.tuning.inspect.numbers import ACTIVE_FROM, StageNumbers
from ciliary.tuning.runs.files import write_atomically

_STYLE = f"""
body {{ margin: 0 auto; max-width: 1260px; padding: 1.2rem; color: {style.INK}; background: white;
       font: 15px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.5rem; margin: 0 0 .2rem; }}
h2 {{ font-size: 1.15rem; margin: 2.2rem 0 .2rem; border-top: 1px solid {style.GRID}; padding-top: 1rem; }}
p {{ margin: .2rem 0 .6rem; max-width: 56rem; }} .faint {{ color: {style.FAINT}; }}
img {{ max-width: 100%; display: block; }}
table {{ border-collapse: collapse; font-size: .9rem; }} nav a {{ margin-right: .9rem; color: {style.AFTER}; }}
th, td {{ text-align: right; padding: .15rem .8rem; border-bottom: 1px solid {style.GRID}; }}
th:first-child, td:first-child, td.words {{ text-align: left; }}
pre {{ font-size: .75rem; overflow-x: auto; }}
summary {{ cursor: pointer; color: {style.FAINT}; margin: .8rem 0; }}
"""


@dataclass(frozen=True)
class Section:
    """A heading, what there is to see, and the pictures under it."""

    name: str  # of its anchor
    title: str
    words: str
    pictures: tuple[Path, ...] = ()


def write_page(
    path: Path,
    *,
    title: str,
    facts: Sequence[str],
    sections: Sequence[Section],
    numbers: Sequence[StageNumbers],
    reports: Sequence[StageReport],
    theta: Theta,
) -> Path:
    """Write the page, atomically.

    Args:
        path: of the HTML file.
        title: name of the image.
        facts: lines under the title.
        sections: in their order; their PNG files are copied into the page.
        numbers, reports: of :func:`ciliary.tuning.inspect.numbers.measure`.
        theta: (1,) each, the setting in use.
    """
    anchors = [(section.name, section.title) for section in sections] + [("numbers", "Numbers"), ("setting", "Setting")]
    parts = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>',
        f"<h1>{escape(title)}</h1>",
        *(f'<p class="faint">{escape(fact)}</p>' for fact in facts),
        "<nav>" + " ".join(f'<a href="#{name}">{escape(words)}</a>' for name, words in anchors) + "</nav>",
        *(_section(section) for section in sections),
        _numbers(numbers, reports),
        _setting(theta),
        "</body></html>\n",
    ]
    return write_atomically(path, "\n".join(parts).encode())


def _section(section: Section) -> str:
    images = "\n".join(
        f'<img alt="{escape(section.title)}" src="data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}">'
        for png in section.pictures
    )
    return f'<h2 id="{section.name}">{escape(section.title)}</h2>\n<p>{escape(section.words)}</p>\n{images}'


def _numbers(numbers: Sequence[StageNumbers], reports: Sequence[StageReport]) -> str:
    words = (
        "Time is the median of the passes over this image alone. A unit counts as active if it answers at least "
        f"{100 * ACTIVE_FROM:.0f} % of what the strongest does. Gini: 0 all alike, towards 1 few do everything."
    )
    head = ("stage", "time (ms)", "output (MiB)", "field judged", "share active", "Gini", "not finite")
    rows = [
        (
            row.stage,
            f"{row.time_ms:.1f}",
            f"{row.memory_mib:.2f}",
            row.field or "–",
            _number(row.share_active),
            _number(row.gini),
            str(row.n_not_finite),
        )
        for row in numbers
    ]
    total_ms, total_mib = sum(row.time_ms for row in numbers), sum(row.memory_mib for row in numbers)
    rows.append(("all", f"{total_ms:.1f}", f"{total_mib:.2f}", "", "", "", str(sum(r.n_not_finite for r in numbers))))
    fields = f"<details><summary>every field</summary><pre>{escape(render(list(reports)))}</pre></details>"
    return f'<h2 id="numbers">Numbers</h2>\n<p>{escape(words)}</p>\n{_table(head, rows)}\n{fields}'


def _setting(theta: Theta) -> str:
    rows, moved = [], []
    for p in PARAMETERS:
        value = float(theta[p.name])
        is_moved = abs(value - p.default) > 1e-6 * max(abs(p.default), 1)
        moved += [f"{p.name} = {value:.4g} (default {p.default:g})"] if is_moved else []
        rows.append((p.name, p.stage, f"{value:.4g}", f"{p.default:g}", p.unit))
    words = "Changed: " + "; ".join(moved) + "." if moved else "The defaults."
    table = _table(("parameter", "stage", "value", "default", "unit"), rows)
    details = f"<details><summary>all {len(rows)} parameters</summary>{table}</details>"
    return f'<h2 id="setting">Setting</h2>\n<p>{escape(words)}</p>\n{details}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>\n{body}</table>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


#: What there is to see in each figure, in the order of the page: name -> (title, words).
WORDS: Mapping[str, tuple[str, str]] = {
    "retina": (
        "Retina",
        "Light in three kinds of cones, adapted to the scene; opponent channels; ON and OFF cells, which answer to "
        "what is lighter or darker than its surround.",
    ),
    "filters": (
        "M1: filters",
        "The log-Gabor filters at this setting. Each answers to contours of one orientation (below the last row, in "
        "degrees from the horizontal, clockwise) and one wavelength.",
    ),
    "m1": (
        "M1: perception",
        "Energy is how strongly the filters of one scale answer, whatever the orientation. The boundary joins energy "
        "and rupture of likeness; S1 is what looks alike here, wherever it is.",
    ),
    "m2": (
        "M2: grouping",
        "Contours bridge gaps where both sides support it; rings mark where contours end. The barrier is what "
        "diffusion cannot pass; S2 is S1 after it.",
    ),
    "m3": (
        "M3: invariance",
        "The patches are the atoms of all that follows; slots gather them. Texture is shown by its three principal "
        "components: places of like colour have like texture.",
    ),
    "m4": (
        "M4: proto-objects",
        "Slots merge up to the threshold (dashed). Objectness weighs contrast with what is around, closure of the "
        "contour and inner variance.",
    ),
    "m5": (
        "M5: recognition",
        "What M5 is told of each proto-object is read in the object's own frame, two standard deviations to each side. "
        "Completion guesses the shape from colour, texture, place and strokes alone.",
    ),
    "occlusion": (
        "Occlusion",
        "Where hiding a part moves the image's code most. The whole percept is made anew each time, so hiding a thing "
        "also changes what is seen around it.",
    ),
}
