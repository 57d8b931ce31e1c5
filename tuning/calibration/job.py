"""The calibration as one job: measure the table, compare the forms, keep one, write the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ciliary.cortex.cues.projection import file_mark
from ciliary.cortex.options import cortex_name
from ciliary.cortex.parameters import table_for
from ciliary.cortex.stages.inherited import left_out
from ciliary.envs.data.labelled import LabelledSet, read_bsds, read_labelled_folder
from ciliary.envs.objective.calibration import Calibration
from ciliary.tuning.calibration.candidates import spread_settings, training_cases
from ciliary.tuning.calibration.fit import NOT_SHIPPED, Comparison, calibrate, compare, input_groups
from ciliary.tuning.calibration.looks_job import learn_looks
from ciliary.tuning.calibration.regressors import FORMS
from ciliary.tuning.calibration.settings import CalibrateSettings
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.evaluation.measure import Measure, MeasureSettings
from ciliary.tuning.evaluation.table import ResponseTable, compute_table
from ciliary.tuning.runs.fingerprints import code_mark, versions
from ciliary.tuning.runs.tables import markdown_table, rows_to_markdown

PLACES = (
    "out",
    "folder",
    "bsds",
    "labelled",
    "n_images",
    "left_out",
    "inherited_weights",
)  # what the data are is told in other words


def run(settings: CalibrateSettings) -> int:
    """Learn and say what was kept; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    s = settings
    if (s.bsds is None) == (s.labelled is None):
        complain("calibrate", "expected one source of labelled images: --bsds DIR or --labelled DIR")
        return USAGE
    try:
        if s.labelled is not None:
            data = read_labelled_folder(s.labelled)
            data, source = data.evenly(s.n_images) if s.n_images else data, s.labelled.resolve().name
        elif s.bsds is not None:
            data, source = read_bsds(s.bsds, "train", n_images=s.n_images), "BSDS500 train"
        about = {"data": source, **versions()}
        if s.n_looks:
            return _choose_looks(data, s, about=about)
        calibration, rows, failed = learn(data, data.names, s, about=about)
    except KeyboardInterrupt:
        goes_on = "nothing was chosen" if s.n_looks else "the same command goes on where it stood"
        complain("calibrate", f"stopped; {goes_on}")
        return STOPPED
    except (ValueError, RuntimeError, OSError) as error:
        complain("calibrate", error)
        return NOTHING
    if not s.is_quiet:
        print(rows_to_markdown(rows))
        print(f"Kept: {calibration.about['form']}, {len(calibration.names)} inputs. Written to {s.out}.")
    return SOME_FAILED if failed else ALL_WELL


def _choose_looks(data: LabelledSet, settings: CalibrateSettings, *, about: dict[str, Any]) -> int:
    looks, choice, failed = learn_looks(data, settings, about=about)
    if not settings.is_quiet:
        rows = [[str(k + 1), f"{score:.3f}"] for k, score in enumerate(choice.scores)]
        print(markdown_table(["looks", "covering together"], rows, is_number=[True, True]))
        print(f"{len(looks.u)} looks of {looks.perceiver}. Written to {settings.out}.")
    return SOME_FAILED if failed else ALL_WELL


def measure_table(data: LabelledSet, names: Sequence[str], settings: CalibrateSettings) -> ResponseTable:
    """Every setting on every image, clean and disturbed; resumes what is in ``settings.folder``."""
    s = settings
    cortex = s.cortex
    n_compared = s.n_settings if s.n_panel else 0
    measure = MeasureSettings(
        cortex=cortex,
        size_px=s.size_px,
        n_views=s.n_views,
        n_panel=n_compared,
        left_out=s.left_out,
        device=s.device,
    )
    meta = {"n_views": s.n_views, "size_px": s.size_px, "n_compared": n_compared, **cortex}
    meta |= {"code": code_mark()}
    meta |= s.cortex_marks
    if s.left_out is not None:
        paths = left_out(s.left_out, s.inherited)
        if unknown := sorted(set(names) - set(paths)):
            raise ValueError(f"{s.left_out} was taught with {len(unknown)} images less than there are: {unknown[:3]}")
        meta.pop("inherited", None)  # the file that nobody looks through
        meta |= {"inherited": s.inherited, "left_out": {path.name: file_mark(path) for path in set(paths.values())}}
    return compute_table(
        s.folder,
        data,
        training_cases(names),
        spread_settings(s.n_settings, seed=s.seed, table=table_for(s.inherited)),
        Measure(measure),
        n_workers=s.n_workers,
        meta=meta,
        digests=data.digests,
        parameters=table_for(s.inherited).names,
    )


def learn(
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
        perceiver=cortex_name(settings.inherited),
        about=about | {"settings": {k: str(v) for k, v in settings.values().items() if k not in PLACES}},
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
