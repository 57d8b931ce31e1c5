#!/usr/bin/env python
"""Which controller? Loss against evaluations and seconds, and covering against people, as one page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tuning.arguments import add_cortex_arguments, at_least

EPILOG = """\
methods       CONTROLLER[:OBJECTIVE[:TRIALS]] with CONTROLLER from the registry (fixed, random, portfolio, reflex,
              gradient, tpe, cmaes, gp, policy, sb3, hybrid, memory, ...) and OBJECTIVE raw, calibrated or the file of
              a calibration; then, if wanted, :no-guard, :policy=FILE (.safetensors, or .zip for sb3), :memory=FILE
              (.npz), :label=TEXT, :NAME=VALUE for a number of the controller or a changed default. With --train-table,
              best-fixed and refit-fixed. fixed always plays, under every objective.
disturbances  none, KIND:SEVERITY, all:3 (each of the eight kinds), mixed:3 (one kind an image, in rotation)
seeds         change views and controllers; who draws nothing plays once where the objective has no views.
seconds       --workers 1 gives an episode all cores; more workers give each one thread: name it when comparing.

results       PAGE (OUT/controllers.md) and its tables and figures in a folder of its name beside it. Its reading comes
              from <PAGE>_reading.md beside it, written by hand. Runs in OUT/mlflow.db, or where MLFLOW_TRACKING_URI
              says.
interrupted   The same command goes on where it stood; with more methods, images or seeds it plays only what is new.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 3 some images failed, the rest is done ·
              130 stopped by Ctrl-C or SIGTERM

examples      python scripts/compare.py --bsds bsds500 --images 4 --size 96 --seeds 2 --methods random:raw:16,tpe:raw:16
              python scripts/compare.py --bsds bsds500 --images 20 --methods \\
                  tpe:raw:64,policy:raw:2,policy:raw:2:policy=mine.safetensors:label=mine
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="compare", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    add("--bsds", type=Path, metavar="PATH", help="BSDS500: the folder that holds images/ and groundTruth/")
    add("--labelled", type=Path, metavar="FOLDER", help="your own: images/ and labels/<name>*.png")
    add("--split", default="val", choices=("val", "train"), help="of BSDS500 (val)")
    add("--images", type=at_least(1), metavar="N", help="so many, evenly spaced (all)")
    add("--methods", metavar="A,B,C", help="who races (random, tpe, cmaes, portfolio)")
    add("--disturb", metavar="LIST", default="none,mixed:3", help="how images are disturbed (none,mixed:3)")
    add("--seeds", type=at_least(1), default=5, metavar="N", help="episodes of each case (5)")
    add("--reference", metavar="METHOD", help="whose gain is the measure of the others (tpe of most trials)")
    add("--workers", type=at_least(1), default=1, metavar="N", help="processes (1)")
    add_cortex_arguments(p)
    add("--out", type=Path, default=Path("runs/compare"), metavar="DIR", help="what is kept (runs/compare)")
    add("--table", type=Path, metavar="FILE", help="response table of these images: oracle, seeds")
    add("--train-table", type=Path, metavar="FILE", help="response table of others: chooses best fixed settings")
    add("--page", type=Path, metavar="FILE", help="results page (OUT/controllers.md)")
    add("--quiet", action="store_true", help="no progress: only problems and the exit code")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Race; returns the exit code."""
    options = parser().parse_args(argv)
    from tuning import processor  # after parsing: torch takes seconds, --help should not
    from tuning.evaluation import compare

    if owns_process:
        processor.flush_denormals()
    methods = None if options.methods is None else tuple(m.strip() for m in options.methods.split(",") if m.strip())
    settings = compare.CompareSettings(
        bsds=options.bsds,
        labelled=options.labelled,
        split=options.split,
        n_images=options.images,
        methods=methods,
        disturb=options.disturb,
        n_seeds=options.seeds,
        reference=options.reference,
        n_workers=options.workers,
        size_px=options.size,
        depth=options.depth,
        features=options.features,
        out=options.out,
        table=options.table,
        train_table=options.train_table,
        page=options.page,
        is_quiet=options.quiet,
    )
    return compare.run(settings)


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
