"""Labelled images in, a readout and a table out; or images and a readout in, class maps out. An exit code."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Any

from rich.console import Console

from ciliary.cortex import Cortex
from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.device import choose_device
from ciliary.envs.data.disturbances import parse_disturbance
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopped, Stopper
from ciliary.tuning.readout.apply import apply
from ciliary.tuning.readout.data import open_examples
from ciliary.tuning.readout.exam import image_rows, rows_of
from ciliary.tuning.readout.figure import draw_found, draw_losses
from ciliary.tuning.readout.fit import Epoch
from ciliary.tuning.readout.kept import Kept
from ciliary.tuning.readout.learn import MAJORITY, Data, candidates, examine, learn, readers, take_stock
from ciliary.tuning.readout.losses import parse_loss
from ciliary.tuning.readout.models import NoUNet
from ciliary.tuning.readout.report import census_table, page
from ciliary.tuning.readout.settings import ReadoutSettings
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.runs.store import StoreError
from ciliary.tuning.runs.tables import numbers_in, rows_to_csv
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.training.curves import Curve, LearningRun, claim

COMMAND = "readout"
_N_SHOWN = 4  # test images in the figure
_complain = partial(complain, COMMAND)


def run(settings: ReadoutSettings) -> int:
    """Learn and measure, or apply; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    try:
        if settings.model is not None and not settings.images:
            _complain("--model is applied to images; give IMAGE")
            return USAGE
        if settings.model is not None:
            return apply(settings)
        if settings.labelled is None:
            _complain("expected labelled images, --labelled DIR, or IMAGE and --model FILE")
            return USAGE
        try:
            parse_loss(settings.loss)
            for text in settings.disturbances:
                parse_disturbance(text)
            cortex = Cortex(**settings.cortex).eval().requires_grad_(False).to(choose_device(settings.device))
        except (ValueError, TypeError, FileNotFoundError) as error:
            _complain(error)
            return USAGE
        return _train(settings, cortex)
    except (Stopped, KeyboardInterrupt):
        _complain("stopped; nothing is kept of a training that did not end")
        return STOPPED
    except (ValueError, OSError, StoreError, ProviderUnavailable, NoUNet) as error:
        _complain(error)
        return NOTHING


def _train(s: ReadoutSettings, cortex: Cortex) -> int:
    assert s.labelled is not None
    examples, failed = open_examples(s.labelled, s.size_px), []

    def say(name: str, error: Exception) -> None:
        failed.append(failure(name, error))
        _complain(failed[-1])

    stdout = Console(highlight=False, soft_wrap=True, quiet=s.is_quiet)
    with Stopper() as stopper:

        def counted() -> None:
            bar.advance()
            stopper.check()

        with Bar(len(examples), title="counting", unit="images", is_quiet=s.is_quiet) as bar:
            data = take_stock(s, examples, say=say, on_step=counted)
        stdout.print(census_table(data).grid())
        about = _about(s, data)
        claim(s.out, about)
        asked = candidates(s, cortex, len(data.census.classes))
        with LearningRun(s.out, about, name=f"readout-{s.seed}") as run:
            curve = Curve(s.out / "progress.jsonl", 0)

            def on_epoch(name: str, epoch: Epoch) -> None:
                values = {"train": epoch.train, "validation": epoch.validation, "rate": epoch.rate}
                for writer in (curve, run):
                    writer.log({f"{_plain(name)}/{what}": value for what, value in values.items()}, epoch.number)

            fitted = learn(
                data, asked, s, folder=s.out, device=cortex.device, on_epoch=on_epoch, check=stopper.check
            )  # fmt: skip
            own = min((one for one in asked if one.head), key=lambda one: fitted[one.name].best.validation)
            models = readers(data, fitted, asked, s, own=own, check=stopper.check)
            answers, shown = examine(data, models, s, check=stopper.check)
            rows = rows_of(answers, data.census.classes.names)
            kept = Kept(
                fitted[own.name].model,
                data.census.classes,
                {
                    **about,
                    "head": own.head,
                    "cortex": s.cortex,
                    "marks": s.cortex_marks,
                    "validation_loss": fitted[own.name].best.validation,
                    "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
                    "versions": versions(),
                },
            )
            text = page(s, data, rows, fitted, own=own.name)
            tests = [data[i] for i in data.split.test[:_N_SHOWN]]
            kind = parse_disturbance(s.disturbances[0])
            figure = draw_found(
                [one.image for one in tests],
                [data.target(one) for one in tests],
                {name: maps[:_N_SHOWN] for name, maps in shown.items() if name != MAJORITY},
                title="Test images" if kind.name == "none" else f"Test images, {kind}",
                names=data.census.classes.names,
            )
            images = image_rows(answers, [data[i].name for i in data.split.test])
            written = {
                "readout": write_atomically(s.out / "readout.safetensors", kept.to_bytes()),
                "table": write_atomically(s.out / "readout.csv", rows_to_csv(rows).encode()),
                "images": write_atomically(s.out / "images.csv", rows_to_csv(images).encode()),
                "losses": write_figure(draw_losses(fitted, s.loss), s.out / "curves.png"),
                "found": write_figure(figure, s.out / "test.png"),
                "page": write_atomically(s.out / "readout.md", text.encode()),
            }
            run.log({f"test/{name}": value for name, value in numbers_in(rows[0]).items()}, 0)
            for path in (*written.values(), curve.path):
                run.keep(path)
    stdout.print("\n".join([text, *(f"{what:9} {path}" for what, path in written.items())]), markup=False)
    return SOME_FAILED if failed else ALL_WELL


def _about(s: ReadoutSettings, data: Data) -> dict[str, Any]:
    """What this training is, in JSON types: another one does not go into its folder."""
    apart = ("images", "model", "out", "labelled", "inherited_weights", "features_weights")
    told = {k: list(v) if isinstance(v, tuple) else v for k, v in s.values().items() if k not in apart}
    return told | {
        "data": str(s.labelled).rstrip("/").rpartition("/")[2],
        "n_images": len(data.rows),
        "split_sizes": [len(part) for part in (data.split.train, data.split.validation, data.split.test)],
    }


def _plain(name: str) -> str:
    return name.replace(", ", "-").replace(" ", "_")
