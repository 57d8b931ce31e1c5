#!/usr/bin/env python
"""Learn from labelled images how good a percept is, so that it can be told without labels afterwards.

Give BSDS500, or a folder of your own with images/ and labels/ (labels/<name>*.png: one or more label maps of each
image). The file that is written is used by --objective FILE of scripts/accommodate.py and by the environments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ciliary.tuning.cli.arguments import add_cortex_arguments, add_learned_argument, at_least

EPILOG = """\
how long      about 0.1 s per image, disturbance and setting on one core without views: 200 images, each clean and
              disturbed, 32 settings, two workers: a quarter of an hour. Stopped, the same command goes on.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 3 some images failed, the rest is done ·
              130 stopped by Ctrl-C

example       python scripts/calibrate.py --labelled cells/ --out cells.npz
              python scripts/accommodate.py cells/images --objective cells.npz
"""
FORMS = ("line",)
INPUTS = ("terms", "+ features", "+ panel")  # each with the ones before it


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="calibrate", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    where = p.add_mutually_exclusive_group(required=True)
    where.add_argument("--bsds", type=Path, metavar="DIR", help="BSDS500: its training images are used")
    where.add_argument("--labelled", type=Path, metavar="DIR", help="a folder with images/ and labels/")
    add("--out", type=Path, default=Path("runs/calibrate/calibration.npz"), metavar="FILE", help="the file to write")
    add("--work", type=Path, default=Path("runs/calibrate/table"), metavar="DIR", help="where measurements are kept")
    add("--images", type=at_least(1), metavar="N", help="use only so many images, evenly spaced")
    add("--settings", type=at_least(2), default=32, metavar="N", help="settings measured on each image (32)")
    add("--views", type=at_least(0), default=0, metavar="N", help="views for the terms of agreement (0: do without)")
    add("--panel", type=at_least(0), default=32, metavar="N", help="settings whose percepts stand in for people (32)")
    add("--form", choices=FORMS, help="keep this form, whatever the comparison says")
    add("--inputs", choices=INPUTS, help="keep this group of inputs")
    add_cortex_arguments(p)
    add_learned_argument(p)
    add("--workers", type=at_least(1), default=2, metavar="N", help="processes (2)")
    add("--seed", type=at_least(0), default=0, metavar="N", help="of the settings and the fit (0)")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Run the job; returns the exit code."""
    o = parser().parse_args(argv)
    from ciliary.envs.data.labelled import read_bsds, read_labelled_folder
    from ciliary.tuning.calibration import job as calibrating
    from ciliary.tuning.cli import processor  # after parsing: torch takes seconds, --help should not
    from ciliary.tuning.runs.fingerprints import versions
    from ciliary.tuning.runs.tables import rows_to_markdown

    if owns_process:
        processor.flush_denormals()
    settings = calibrating.CalibrateSettings(
        out=o.out,
        folder=o.work,
        n_settings=o.settings,
        n_views=o.views,
        n_panel=o.panel,
        size_px=o.size,
        depth=o.depth,
        features=o.features,
        learned=o.learned,
        form=o.form,
        inputs=o.inputs,
        n_workers=o.workers,
        seed=o.seed,
    )
    try:
        data = read_bsds(o.bsds, "train", n_images=o.images) if o.bsds else read_labelled_folder(o.labelled)
        data = data.evenly(o.images) if o.images and not o.bsds else data
        about = {"data": "BSDS500 train" if o.bsds else o.labelled.resolve().name, **versions()}
        calibration, rows, failed = calibrating.run(data, data.names, settings, about=about)
    except KeyboardInterrupt:
        print("calibrate: stopped; the same command goes on where it stood", file=sys.stderr)
        return 130
    except (ValueError, RuntimeError, OSError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 1
    print(rows_to_markdown(rows))
    print(f"Kept: {calibration.about['form']}, {len(calibration.names)} inputs. Written to {settings.out}.")
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
