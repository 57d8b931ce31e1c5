"""From what was measured to what is shown: rows, figures, page, and the metrics of the run."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ciliary.cortex import Cortex, from_unit
from ciliary.envs.data.labelled import LabelledImage, LabelledSet
from ciliary.envs.episode import stretch
from ciliary.envs.metrics.statistics import Interval
from ciliary.envs.objective.calibration import load_calibration
from ciliary.envs.objective.make import UNCALIBRATED
from ciliary.tuning.evaluation.measure import MeasureSettings, see
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.plots import Sheet, contact_sheet, gap_plot, precision_recall
from ciliary.tuning.evaluation.results import Results, protocol_rows, with_predictions, write_results
from ciliary.tuning.evaluation.selectors import COVERING
from ciliary.tuning.evaluation.summary import FIXED, contest_rows, oracle_scores
from ciliary.tuning.evaluation.systems import PEOPLE, boundary_summary, portrait_rows
from ciliary.tuning.evaluation.table import Case, ResponseTable
from ciliary.tuning.evaluation.validity import validity_report
from ciliary.tuning.runs.fingerprints import described, versions
from ciliary.tuning.sessions.figures import write_figure

N_SHOWN = 10  # best and worst images on the contact sheet
_CELL_PX = 330  # long side of a cell: twice what the sheet shows


@dataclass(frozen=True, eq=False)
class Measured:
    """All that an evaluation measured, and how; see :class:`~ciliary.tuning.evaluation.evaluate.EvaluateSettings`."""

    data: LabelledSet
    how: MeasureSettings
    contest: ResponseTable
    methods: tuple[Method, ...]
    shown: str
    portraits: Mapping[str, ResponseTable]
    table: ResponseTable | None
    train: ResponseTable | None
    source: str
    failed: tuple[str, ...]
    n_workers: int
    processor: str
    code: str
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


def report(measured: Measured, page: Path, *, reading: Path) -> tuple[Path, list[Path], dict[str, float]]:
    """Write page, tables and figures; returns the page, all files and the metrics."""
    notes = [f"left out: {without_folders(line)}" for line in measured.problems]
    table = measured.table
    if table is not None:
        table = table.where(images=set(measured.contest.images) & set(table.images))
    calibration: Mapping[str, Any] = {}
    try:
        objectives = [m.objective for m in measured.methods if m.objective not in UNCALIBRATED]
        if objectives:
            model = load_calibration(None if objectives[-1] == "calibrated" else objectives[-1])
            calibration = _provenance(model)
            table = None if table is None else with_predictions(table, model)
    except (KeyError, ValueError) as error:
        notes.append(f"the response table says nothing of the calibrated objective: {error.args[0]}")
    oracle = oracle_scores(measured.contest, table)
    if table is None:
        notes.append("oracle: the best of the methods of this page, a lower bound of what the cortex could do")
    elif np.isnan(oracle).any():
        notes.append(f"no oracle of {int(np.isnan(oracle).sum())} cases: the response table does not have them")
    rows = contest_rows(measured.contest, oracle=oracle)
    figures = draw(measured, rows, page.parent / page.stem)
    results = Results(
        about=_about(measured, table),
        portraits=portrait_rows(measured.portraits),
        contest=rows,
        protocols=() if table is None else protocol_rows(table, measured.train),
        validity=() if table is None or measured.train is None else validity_report(
            table, train=measured.train, scores=[COVERING], columns=_common_columns(table, measured.train)),
        calibration=calibration,
        reading=reading.read_text(encoding="utf-8") if reading.is_file() else "",
        figures=figures,
        notes=notes,
    )  # fmt: skip
    written = write_results(page, results, reading_name=reading.name)
    return page, [*written, *figures.values()], metrics_of(results)


def metrics_of(results: Results) -> dict[str, float]:
    """One metric a number of the page: ``contest/<method>/<group>/<field>`` and the like; an interval is its mean."""
    metrics: dict[str, float] = {}
    kinds: list[tuple[str, Sequence[Any], tuple[str, ...]]] = [
        ("portraits", results.portraits, ("system",)),
        ("contest", results.contest, ("method", "disturbance")),
        ("protocols", results.protocols, ("protocol", "disturbance")),
        ("validity", results.validity, ("column",)),
    ]
    for kind, rows, keys in kinds:
        for row in rows:
            name = "/".join([kind, *(str(getattr(row, key)) for key in keys)])
            for field in fields(row):
                value = getattr(row, field.name)
                value = value.mean if isinstance(value, Interval) else value
                if isinstance(value, (int, float)):
                    metrics[f"{name}/{field.name}"] = float(value)
    return metrics


def draw(measured: Measured, rows: Sequence[Any], folder: Path) -> dict[str, Path]:
    """The figures there is something to draw for: title -> file."""
    figures = {}
    if measured.portraits:
        summaries = {}
        for name, table in measured.portraits.items():
            if np.isfinite(table.column("count.n_recall.00")).any():
                summaries[name] = boundary_summary(table)
        people = summaries.pop(PEOPLE, None)
        figure = precision_recall(summaries, people=people)
        figures["Precision and recall of boundaries"] = write_figure(figure, folder / "precision_recall.png")
    figures["Fixed, accommodated, oracle"] = write_figure(gap_plot(rows, measured.shown), folder / "gap.png")
    if measured.shown != FIXED:
        best, worst = sheets(measured)
        if best:
            figure = contact_sheet(best, worst, method=measured.shown)
            figures["Images gained and lost most"] = write_figure(figure, folder / "contact_sheet.png")
    return figures


@torch.no_grad()
def sheets(measured: Measured, *, n: int = N_SHOWN) -> tuple[list[Sheet], list[Sheet]]:
    """The ``n`` cases that the method shown helped most, and the ``n`` it harmed most, perceived once more."""
    labels = list(measured.contest.meta["methods"])
    covering = measured.contest.column(COVERING)
    i_fixed, i_shown = labels.index(FIXED), labels.index(measured.shown)
    gain = covering[:, i_shown] - covering[:, i_fixed]
    order = np.argsort(-gain, kind="stable")
    helped = [int(i) for i in order if gain[i] > 0][:n]
    harmed = [int(i) for i in order[::-1] if gain[i] < 0][:n]
    cortex = Cortex(**measured.how.cortex).eval()
    u = {
        name: np.stack([measured.contest.column(f"u.{p}")[:, i] for p in _parameters(measured.contest)], 1)
        for name, i in (("fixed", i_fixed), ("shown", i_shown))
    }
    is_stretched = next(m for m in measured.methods if m.label == measured.shown).controller == "normalise"
    index = {name: i for i, name in enumerate(measured.data.names)}

    def sheet(i: int) -> Sheet:
        case = measured.contest.cases[i]
        item = measured.data[index[case.image]]
        image = see(item, case, size_px=measured.how.size_px)
        size = _cell_size(image)
        other = stretch(image[0])[None] if is_stretched else image
        maps = [
            cortex(x, from_unit(torch.as_tensor(u[name][i : i + 1]))).labels(size)[0].numpy()
            for name, x in (("fixed", image), ("shown", other))
        ]
        return Sheet(
            _title(case), _small(image, size), _drawing(item, size), maps[0], maps[1],
            float(covering[i, i_fixed]), float(covering[i, i_shown]),
        )  # fmt: skip

    return [sheet(i) for i in helped], [sheet(i) for i in harmed]


def _about(measured: Measured, table: ResponseTable | None) -> dict[str, str]:
    cases = measured.contest.cases
    about = {
        "images": f"{len(set(measured.contest.images))} of {measured.source}",
        "cases": f"{len(cases)}: {counted([case.disturbance for case in cases])}",
        "methods": ", ".join(measured.contest.meta["methods"]),
        "cortex looks at": f"{measured.how.size_px} px (long side); {described(measured.how.cortex)}",
        "scores": f"at the image's own size, on every pixel of a grid of {measured.how.score_stride} px",
        "commit": f"{versions().get('commit', 'unknown')} (code mark {measured.code})",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "computing": f"{measured.contest.meta['seconds']:.0f} s of episodes, this call {measured.seconds:.0f} s, "
        f"{measured.n_workers} worker{'s' if measured.n_workers > 1 else ''}, {measured.processor}",
    }
    if table is not None:
        about["response table"] = f"{len(table.cases)} cases, {table.n_settings} settings, {table.meta.get('date', '')}"
    return about


def without_folders(line: str) -> str:
    """A page is read on other machines: files by name only."""
    return " ".join(Path(word).name if "/" in word and Path(word).is_absolute() else word for word in line.split(" "))


def counted(words: Sequence[str]) -> str:
    """How often each word is there, in words."""
    counts = {word: words.count(word) for word in dict.fromkeys(words)}
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def _provenance(model: Any) -> dict[str, str]:
    about = {str(k): v if isinstance(v, str) else repr(v) for k, v in model.about.items()}
    shape = f"{len(model.names)} inputs, {len(model.layers)} layers, panel of {len(model.panel)}"
    shape += f", {len(model.starts)} starts"
    return {"model": shape, "least gain": f"{model.min_gain:.4g}", "views": str(model.n_views), **about}


def _common_columns(table: ResponseTable, train: ResponseTable) -> list[str]:
    """Terms (which need no training) and the features that both tables have."""
    return table.names("term.") + [name for name in table.names("feature.") if name in train.columns]


def _parameters(table: ResponseTable) -> list[str]:
    from ciliary.cortex.parameters import NAMES

    return [name for name in NAMES if f"u.{name}" in table.columns]


def _title(case: Case) -> str:
    return case.image if case.disturbance == "none" else f"{case.image}, {case.disturbance.replace('_', ' ')}"


def _cell_size(image: torch.Tensor) -> tuple[int, int]:
    height, width = image.shape[-2:]
    scale = _CELL_PX / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _small(image: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    small = torch.nn.functional.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)
    return small[0].permute(1, 2, 0).clamp(0, 1).numpy()


def _drawing(item: LabelledImage, size: tuple[int, int]) -> np.ndarray:
    """The drawing with the median number of regions, by nearest pixel."""
    n_regions = [len(np.unique(one)) for one in item.segmentations]
    drawn = item.segmentations[int(np.argsort(n_regions, kind="stable")[len(n_regions) // 2])]
    rows, columns = (np.arange(n) * full // n for n, full in zip(size, drawn.shape, strict=True))
    _, labels = np.unique(drawn[rows[:, None], columns], return_inverse=True)
    return labels.reshape(size)
