#!/usr/bin/env python
"""Which controller? Loss against evaluations and seconds, and covering against people, as one page."""

from __future__ import annotations

import argparse
import sys

from ciliary.tuning.cli.arguments import add_contest_arguments, at_least, contest_settings

EPILOG = """\
methods       CONTROLLER[:OBJECTIVE[:TRIALS]] with CONTROLLER from the registry (fixed, random, portfolio, reflex,
              gradient, tpe, cmaes, gp, policy, sb3, hybrid, memory, ...) and OBJECTIVE raw, recognition, calibrated or
              the file of a calibration; then, if wanted, :no-guard, :policy=FILE (.safetensors, or .zip for sb3),
              :memory=FILE (.npz), :label=TEXT, :NAME=VALUE for a number of the controller or a changed default. With
              --train-table, best-fixed and refit-fixed. fixed always plays, under every objective.
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
    add_contest_arguments(
        p, methods="random, tpe, cmaes, portfolio", table="oracle, seeds", out="runs/compare", page="controllers.md"
    )
    add = p.add_argument
    add("--seeds", type=at_least(1), default=5, metavar="N", help="episodes of each case (5)")
    add("--reference", metavar="METHOD", help="whose gain is the measure of the others (tpe of most trials)")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Race; returns the exit code."""
    options = parser().parse_args(argv)
    from ciliary.tuning.cli import processor  # after parsing: torch takes seconds, --help should not
    from ciliary.tuning.evaluation import compare

    if owns_process:
        processor.flush_denormals()
    settings = compare.CompareSettings(**contest_settings(options), n_seeds=options.seeds, reference=options.reference)
    return compare.run(settings)


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
