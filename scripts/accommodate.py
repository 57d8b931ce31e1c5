#!/usr/bin/env python
"""Accommodate the cortex to photographs, and show what it gained.

Without IMAGE, three bundled photographs are shown in low light and with noise.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ciliary.tuning.cli.arguments import add_cortex_arguments, add_learned_argument, assignment, at_least

EPILOG = """\
controllers   look and react   fixed, normalise, portfolio, reflex, memory
              learned          policy, sb3 (a policy of stable-baselines3; needs --policy)
              search           random, tpe, cmaes, gp, nsga2, gradient, hybrid, hybrid-cmaes (a policy, then a search)
disturbances  gaussian_noise, defocus_blur, motion_blur, low_light, low_contrast, fog, colour_cast, jpeg
              with a severity from 0 to 5, as in fog:2.5; none shows the photograph as it is

sessions      A session has a name: --session, or <controller>-seed<seed>. Stopped (Ctrl-C, kill, power cut), it goes on
              when the same command is given again: finished episodes are not done twice. When it is complete, the same
              name starts <name>-2; --resume opens the complete one again, to add images, or to repeat what failed.
output        OUT/<session>/episodes.jsonl and figures/ (a page and a GIF an episode); runs in OUT/mlflow.db, or where
              MLFLOW_TRACKING_URI says.
              --save DIR writes <stem>.labels.png (16-bit, input resolution), <stem>.boundary.png (8-bit), <stem>.json;
              with several disturbances <stem> becomes <stem>__<disturbance>_<severity>.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 3 some images failed, the rest is done ·
              130 stopped by Ctrl-C or SIGTERM

examples      python scripts/accommodate.py holiday/ --disturb none,fog:3 --save maps
              python scripts/accommodate.py cat.jpg --controller cmaes --trials 128 --storage sqlite:///studies.db
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="accommodate", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    whole = at_least(1)
    add("images", nargs="*", metavar="IMAGE|FOLDER", help="photographs; folders are searched through")
    add("--controller", default="tpe", metavar="NAME", help="who proposes settings (tpe)")
    add("--trials", type=whole, default=64, metavar="N", help="settings per episode, the defaults included (64)")
    add("--population", type=whole, metavar="N", help="settings evaluated in one batch (16; 4 for gp)")
    add(
        "--spread",
        type=float,
        default=0.25,
        metavar="U",
        help="how far from the defaults a search starts; 0: anywhere (0.25)",
    )
    add_cortex_arguments(p)
    add_learned_argument(p)
    add("--disturb", action="append", metavar="KIND:SEVERITY", help="repeatable, or a comma list (none)")
    add("--seed", type=at_least(0), default=0, metavar="N", help="of views, disturbance and controller (0)")
    add(
        "--objective",
        default="calibrated",
        metavar="calibrated|raw|recognition|FILE",
        help="what is minimised: 1 - the score that a calibration predicts, the raw terms, or those and that what is "
        "recognised holds (calibrated)",
    )
    add(
        "--policy",
        metavar="FILE",
        help="a trained policy: .safetensors, .zip for sb3, or models:/NAME/VERSION (the one that comes with Ciliary)",
    )
    add("--set", action="append", type=assignment, default=[], metavar="NAME=VALUE", help="change a default")
    add("--no-guard", action="store_true", help="apply the best trial even if its gain may be noise")
    add("--out", type=Path, default=Path("runs/accommodate"), metavar="DIR", help="where results go (runs/accommodate)")
    add("--save", type=Path, metavar="DIR", help="write label maps, boundary maps and JSON there")
    add("--session", metavar="NAME", help="name of the session")
    add("--resume", action="store_true", help="open a complete session again")
    add("--storage", metavar="URL|FILE", help="keep Optuna studies there, and continue those it holds")
    add("--no-animation", action="store_true", help="do not write a GIF of each episode beside its figure")
    add("--quiet", action="store_true", help="no progress, no table: only problems and the exit code")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Run one session; returns the exit code."""
    options = parser().parse_args(argv)
    from ciliary.tuning.cli import processor  # after parsing: torch takes seconds, --help should not
    from ciliary.tuning.sessions import accommodate  # after parsing: torch takes seconds, --help should not

    if owns_process:
        processor.flush_denormals()
    return accommodate.run(
        options.images,
        quiet=options.quiet,
        controller=options.controller,
        n_trials=options.trials,
        long_side_px=options.size,
        disturbances=_split(options.disturb),
        seed=options.seed,
        out=options.out,
        save=options.save,
        session=options.session,
        storage=options.storage,
        depth=options.depth,
        features=options.features,
        learned=options.learned,
        objective=options.objective,
        policy=options.policy,
        use_guard=not options.no_guard,
        population=options.population,
        spread=options.spread or None,
        changes=dict(options.set),
        is_resumed=options.resume,
        is_animated=not options.no_animation,
    )


def _split(lists: list[str] | None) -> tuple[str, ...] | None:
    """``["fog:1,none", "jpeg:2"]`` -> ``("fog:1", "none", "jpeg:2")``."""
    return None if lists is None else tuple(word.strip() for text in lists for word in text.split(",") if word.strip())


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
