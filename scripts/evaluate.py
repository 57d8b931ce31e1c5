#!/usr/bin/env python
"""Does accommodation see better? Methods, peers and people on labelled images, as one page of results."""

from __future__ import annotations

import argparse
import sys

from ciliary.tuning.cli.arguments import add_contest_arguments, contest_settings

EPILOG = """\
methods       CONTROLLER[:OBJECTIVE[:TRIALS]] with CONTROLLER from fixed, normalise, random, portfolio, tpe, cmaes, gp,
              nsga2 and OBJECTIVE raw, recognition, calibrated or the file of a calibration; then, if wanted, :no-guard
              and :NAME=VALUE for a changed default. setting:FILE.json is a fixed setting. With --train-table,
              best-fixed and refit-fixed (best fixed for each kind of disturbance). fixed always plays.
disturbances  none, KIND:SEVERITY as for accommodate, all:3 (each of the eight kinds), mixed:3 (one kind an image, in
              rotation); a bare number repeats the kind: all:1,3,5

results       PAGE (OUT/results.md) and its tables and figures in a folder of its name beside it. Its reading comes from
              <PAGE>_reading.md beside it, written by hand. Runs in OUT/mlflow.db, or where MLFLOW_TRACKING_URI says.
interrupted   The same command goes on where it stood: every case that was measured is kept in OUT.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 3 some images failed, the rest is done ·
              130 stopped by Ctrl-C or SIGTERM

examples      python scripts/evaluate.py --bsds bsds500 --images 20
              python scripts/evaluate.py --labelled mine --methods normalise,tpe:raw:16 --disturb none --no-portraits
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="evaluate", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_contest_arguments(
        p,
        methods="normalise and a few searches",
        table="oracle, protocols, validity",
        out="runs/evaluate",
        page="results.md",
    )
    p.add_argument("--no-portraits", action="store_true", help="leave out peers, stages and people on clean images")
    p.add_argument("--show", metavar="METHOD", help="whose gains are drawn (the last of --methods)")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Evaluate; returns the exit code."""
    options = parser().parse_args(argv)
    from ciliary.tuning.cli import processor  # after parsing: torch takes seconds, --help should not
    from ciliary.tuning.evaluation import evaluate

    if owns_process:
        processor.flush_denormals()
    settings = evaluate.EvaluateSettings(
        **contest_settings(options), with_portraits=not options.no_portraits, shown=options.show
    )
    return evaluate.run(settings)


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
