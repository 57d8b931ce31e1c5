"""Grow filters from the command line: the job, its file, its figures, its report, and exit codes."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from ciliary.cortex.device import choose_device
from ciliary.cortex.plot.grown import draw_fields, draw_tuning
from ciliary.cortex.stages.m1_grown import PREFIX, GrownM1, GrownV1
from ciliary.envs.data.images import open_images
from ciliary.envs.data.reading import UnreadableImage
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.training.filters import N_PATCHES, N_STEPS, N_UNITS, Grown, GrowSettings, grow
from ciliary.tuning.training.filters_bank import as_units, calibrate, pool
from ciliary.tuning.training.filters_data import HOLD_OUT, contrast_maps, cut_patches, through_retina
from ciliary.tuning.training.filters_report import (
    Shown,
    code_table,
    covering_table,
    show,
    show_log_gabors,
    tuning_table,
)
from ciliary.tuning.training.options import FiltersTraining

COMMAND = "train_filters"
_N_HELD_OUT = 4000  # patches
_N_CALIBRATED = 20  # photographs that the gains are set on
_N_VAL = 100  # of BSDS500


def run(asked: FiltersTraining) -> int:
    """Grow, measure and write; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 3 some photographs could not be read, 130 stopped.
    """
    path = asked.out or Path("runs/filters") / f"{asked.rule}.safetensors"
    try:
        written, n_unread = _train(asked, path)
    except (Stopped, KeyboardInterrupt):
        complain(COMMAND, "stopped; nothing is kept of a training that did not end")
        return STOPPED
    except (ValueError, OSError) as error:
        complain(COMMAND, error)
        return NOTHING
    if not asked.is_quiet:
        print("\n".join(f"{what:10} {place}" for what, place in written.items()))
    return SOME_FAILED if n_unread else ALL_WELL


def _train(asked: FiltersTraining, path: Path) -> tuple[dict[str, Path], int]:
    """What was written, and how many photographs could not be read."""
    photographs = open_images(list(asked.images), asked.size_px)
    settings = GrowSettings(
        asked.rule,
        asked.n_units or N_UNITS[asked.rule],
        asked.n_steps or N_STEPS[asked.rule],
        asked.patch_px,
        asked.seed,
    )
    total = len(photographs) + settings.n_steps + (0 if asked.bsds is None else _N_VAL)
    with Stopper() as stopper, Bar(total, title="filters", is_quiet=asked.is_quiet) as bar:

        def done(note: str | None = None) -> None:
            stopper.check()
            bar.advance()
            if note:
                bar.move(note=note)

        def on_image(problem: UnreadableImage | None) -> None:
            if problem is not None:  # one bad photograph must not cost the others
                complain(COMMAND, problem)
            done()

        read = contrast_maps(photographs, on_image=on_image)
        maps = list(read.values())
        if len(maps) < 2:
            raise ValueError(f"expected two photographs or more, got {len(maps)}; one in {HOLD_OUT} is held out")
        generator = torch.Generator().manual_seed(settings.seed)
        learned = [one for i, one in enumerate(maps) if i % HOLD_OUT]
        patches = cut_patches(learned, N_PATCHES, settings.patch_px, generator)
        held_out = cut_patches(maps[::HOLD_OUT], _N_HELD_OUT, settings.patch_px, generator)
        held_out = held_out[torch.randperm(len(held_out), generator=generator)]
        units = grow(
            patches,
            settings,
            device=choose_device(asked.device),
            on_step=lambda step, values: done(_in_words(values)),
        )
        fields = through_retina(units.fields)
        shown = show(asked.rule, fields)
        tables = [tuning_table([shown, show_log_gabors(through_retina)]), code_table(asked.rule, units, held_out)]
        some = list(read)[:: max(1, len(read) // _N_CALIBRATED)]
        v1, problem = _v1(fields, shown, [photographs[i].image for i in some])
        if asked.bsds is not None and v1 is not None:
            tables.append(covering_table(asked.rule, GrownM1(v1), asked.bsds, size_px=asked.size_px, on_image=done))
    if problem:
        complain(COMMAND, f"no M1 can be made of these: {problem}")
    about = {
        "settings": settings.about(),
        "photographs": {"of": [Path(one).name for one in asked.images], "n": len(maps), "size_px": asked.size_px},
        "is_m1": v1 is not None,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "versions": versions(),
    }
    note = f"{len(fields)} units of {len(learned)} photographs, through the retina"
    page = "# Filters that grew\n\n" + "\n".join(table.markdown() for table in tables)
    written = {
        "filters": write_atomically(path, filters_to_bytes(units, v1, about)),
        "report": write_atomically(path.with_suffix(".md"), page.encode()),
        "figure": write_figure(draw_fields(fields, name=asked.rule, note=note), path.with_suffix(".png")),
        "tuning": write_figure(
            draw_tuning(shown.tuning, shown.gabors, name=asked.rule), path.with_suffix(".tuning.png")
        ),
    }
    return written, len(photographs) - len(maps)


def filters_to_bytes(units: Grown, v1: GrownV1 | None, about: Mapping[str, Any]) -> bytes:
    """The file: all units' fields on ON less OFF, in half precision, the complex cells of M1, and ``about`` them."""
    tensors = {"units": units.fields.half().contiguous()}
    if v1 is not None:
        tensors |= {f"{PREFIX}{name}": value.contiguous() for name, value in v1.state_dict().items()}
    return save(tensors, {"about": json.dumps(dict(about))})


def _v1(fields: Tensor, shown: Shown, images: list[Tensor]) -> tuple[GrownV1 | None, str]:
    try:
        return calibrate(pool(as_units(fields, shown.tuning, shown.gabors)), images), ""
    except ValueError as error:
        return None, str(error)


def _in_words(values: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.2f}" for name, value in values.items())
