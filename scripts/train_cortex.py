#!/usr/bin/env python
"""Train the learned parts of the cortex, from newborn to adult, on any folder of photographs. No labels.

Use what it learned with --learned all in the other commands, or cortex.Cortex(learned=True, weights=FILE).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EPILOG = """\
curriculum    M1 soft regions, M2 contours, M1 again behind M2's barrier, M3 texture code, M4 proto-objects, M5 experts,
              M1-M4 together lightly. Each phase follows its own losses, the other stages stand still, and ends when the
              photographs held out no longer gain. All numbers are in one file: copy the one that --print-config shows.
output        OUT/cortex.safetensors (with where it comes from), curves.png, report.md (each stage beside its
              mathematical part, the untrained network and trivial solutions), progress.jsonl, checkpoint.pt, and a run
              in mlflow.db (or where MLFLOW_TRACKING_URI says).
interrupted   The same command goes on where it stood.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM

examples      python scripts/train_cortex.py --images holiday/ --out runs/cortex
              python scripts/look.py beach.jpg --learned all --weights runs/cortex/cortex.safetensors
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="train_cortex", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    add("--images", nargs="+", default=["bundled"], metavar="FOLDER", help="photographs to learn from (bundled)")
    add("--config", type=Path, metavar="FILE", help="another curriculum (TOML)")
    add("--print-config", action="store_true", help="show the curriculum that comes with the project, and stop")
    add("--out", type=Path, default=Path("runs/cortex"), metavar="DIR", help="folder of this training (runs/cortex)")
    add("--no-report", action="store_true", help="weights only")
    add("--quiet", action="store_true", help="no progress: only problems and the exit code")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Train; returns the exit code."""
    options = parser().parse_args(argv)
    from ciliary.tuning.cli import processor  # after parsing: torch takes seconds, --help should not
    from ciliary.tuning.training import cortex_job as train
    from ciliary.tuning.training import curriculum

    if options.print_config:
        print(curriculum.DEFAULT.read_text(encoding="utf-8"), end="")
        return 0
    if owns_process:
        processor.flush_denormals()
    return train.run(
        images=options.images,
        config=options.config,
        out=options.out,
        is_quiet=options.quiet,
        with_report=not options.no_report,
    )


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
