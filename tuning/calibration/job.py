"""The calibration as one job: measure the table, compare the forms, keep one, write the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.data.labelled import LabelledSet
from ciliary.envs.objective.calibration import Calibration
from ciliary.tuning.calibration.candidates import spread_settings, training_cases
from ciliary.tuning.calibration.fit import NOT_SHIPPED, Comparison, calibrate, compare, input_groups
from ciliary.tuning.calibration.regressors import FORMS
from ciliary.tuning.evaluation.measure import Measure, MeasureSettings
from ciliary.tuning.evaluation.table import ResponseTable, compute_table
from ciliary.tuning.runs.fingerprints import code_mark, cortex_options, learned_mark


@dataclass(frozen=True)
class CalibrateSettings:
    """What a calibration is made of.

    Attributes:
        out: file to write.
        folder: where the response table is kept; started again, the job goes on from there.
        n_settings: settings in the table.
        n_views: views for the terms of agreement; 0 does without them, in a fifth of the time.
        n_panel: settings whose percepts stand in for people; 0 for none.
        size_px: long side at which the cortex looks.
        depth, features: providers of the cortex's cues.
        learned: stages of the cortex that use their learned part.
        form, inputs: as in the comparison, to be kept; the best one that can be shipped when None.
        n_workers: processes.
        seed: of the settings and the fit.
    """

    out: Path = Path("runs/calibrate/calibration.npz")
    folder: Path = Path("runs/calibrate/table")
    n_settings: int = 32
    n_views: int = 0
    n_panel: int = 32
    size_px: int = 192
    depth: str = "none"
    features: str = "none"
    learned: tuple[str, ...] = ()
    form: str | None = None
    inputs: str | None = None
    n_workers: int = 2
    seed: int = 0


def measure_table(data: LabelledSet, names: Sequence[str], settings: CalibrateSettings) -> ResponseTable:
    """Every setting on every image, clean and disturbed; resumes what is in ``settings.folder``."""
    s = settings
    cortex = cortex_options(depth=s.depth, features=s.features, learned=s.learned)
    n_compared = s.n_settings if s.n_panel else 0
    measure = MeasureSettings(cortex=cortex, size_px=s.size_px, n_views=s.n_views, n_panel=n_compared)
    meta = {"n_views": s.n_views, "size_px": s.size_px, "n_compared": n_compared, **cortex}
    meta |= {"code": code_mark()}
    meta |= {"learned": learned_mark(s.learned)} if s.learned else {}
    return compute_table(
        s.folder,
        data,
        training_cases(names),
        spread_settings(s.n_settings, seed=s.seed),
        Measure(measure),
        n_workers=s.n_workers,
        meta=meta,
        digests=data.digests,
        parameters=PARAMETERS.names,
    )


def run(
    data: LabelledSet, names: Sequence[str], settings: CalibrateSettings, *, about: dict[str, Any]
) -> tuple[Calibration, list[Comparison], list[str]]:
    """The whole job; the calibration is in ``settings.out`` afterwards. Also which cases failed, one line each.

    Raises:
        ValueError: fewer than ten images, which calibrate nothing.
    """
    if len(names) < 10:
        raise ValueError(f"expected at least 10 labelled images to learn from, got {len(names)}")
    table = measure_table(data, names, settings)
    groups = {k: v for k, v in input_groups(table).items() if settings.inputs in (None, k)}
    forms = {k: fit for k, fit in FORMS.items() if settings.form in (None, k)}
    rows = compare(table, groups=groups, forms=forms)
    kept = choose(rows, form=settings.form, inputs=settings.inputs)
    calibration = calibrate(
        table,
        form=kept.form,
        inputs=input_groups(table)[kept.inputs],
        n_panel=settings.n_panel if kept.inputs == "+ panel" else 0,
        seed=settings.seed,
        about=about | {"settings": {k: str(v) for k, v in asdict(settings).items() if k not in ("out", "folder")}},
    )
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    calibration.save(settings.out)
    return calibration, rows, [str(line) for line in table.meta.get("failed", ())]


def choose(rows: Sequence[Comparison], *, form: str | None = None, inputs: str | None = None) -> Comparison:
    """The comparison to keep: the one asked for, or the largest gain among forms that can be shipped.

    Raises:
        ValueError: none fits.
    """
    fitting = [
        row
        for row in rows
        if row.form == (form or row.form) and row.inputs == (inputs or row.inputs)
        if row.form != "trees" and row.inputs != NOT_SHIPPED
    ]
    if not fitting:
        raise ValueError(
            f"no comparison of form {form!r} on inputs {inputs!r}; there are {[(r.form, r.inputs) for r in rows]}"
        )
    return max(fitting, key=lambda row: row.clean.mean + row.disturbed.mean)
