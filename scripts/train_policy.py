#!/usr/bin/env python
"""Train a policy: what to set the cortex to, from what it sees, learned beforehand on many photographs without labels.

Play it with scripts/accommodate.py --controller policy (gradient), sb3 (ppo, sac) or reflex, and --policy FILE.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ciliary.tuning.cli.arguments import add_cortex_arguments, at_least

EPILOG = """\
algorithms    gradient  the objective's own gradient through the cortex; OUT/policy.safetensors
              ppo, sac  reinforcement learning (stable-baselines3: pip install 'ciliary[rl]'); OUT/policy.zip, which
                        holds pickled objects: load only files you trust
              reflex    set points and gains of the homeostat, measured; OUT/reflex.json
how long      a step of ppo or sac is one look at one image, and its views where the objective has any. The calibrated
              objective first looks at each of the --cases under 32 settings.
output        in OUT, beside the policy: learning_curve.png, progress.jsonl, checkpoints, and the run in mlflow.db (or
              where MLFLOW_TRACKING_URI says).
interrupted   The same command goes on where it stood, and with more --steps it goes on when it was complete. Other
              settings need another --out.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM

examples      python scripts/train_policy.py --algo ppo --images holiday/ --steps 20000 --out runs/policies/holiday
              python scripts/accommodate.py beach.jpg --controller sb3 --policy runs/policies/holiday/policy.zip
"""
ALGORITHMS = ("gradient", "ppo", "sac", "reflex")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="train_policy", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    add("--algo", required=True, choices=ALGORITHMS, help="how it is trained")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--images", default="bundled", metavar="FOLDER", help="photographs to learn from (bundled)")
    where.add_argument("--bsds", type=Path, metavar="DIR", help="BSDS500: its training images are used")
    add(
        "--objective",
        default="calibrated",
        metavar="calibrated|raw|recognition|FILE",
        help="what is to fall (calibrated)",
    )
    add("--steps", type=at_least(1), metavar="N", help="looks (ppo, sac: 20000), or optimiser steps (gradient: 400)")
    add(
        "--views",
        type=at_least(1),
        metavar="N",
        help="views a percept is judged by; fewer are faster (the objective's)",
    )
    add("--cases", type=at_least(1), metavar="N", help="disturbed photographs to learn from (ppo, sac: 256)")
    add("--without", default="", metavar="KIND,...", help="gradient: disturbances to leave out, to test on them later")
    add("--envs", type=at_least(1), default=8, metavar="N", help="ppo, sac: episodes side by side (8)")
    add_cortex_arguments(p)
    p.set_defaults(size=96)
    add("--seed", type=at_least(0), default=0, metavar="N", help="of everything that is drawn (0)")
    add("--out", type=Path, metavar="DIR", help="folder of this training (runs/policies/<algo>-<objective>)")
    add("--register", metavar="NAME", help="also register the policy in MLflow; then --policy models:/NAME/VERSION")
    add("--store", type=Path, metavar="DIR", help="whose registry (runs/accommodate: where accommodate.py looks)")
    add("--quiet", action="store_true", help="no progress: only problems and the exit code")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Train; returns the exit code."""
    p = parser()
    options = p.parse_args(argv)
    if options.register and options.algo == "reflex":
        p.error("a reflex is a table, not a policy that can be registered")
    from ciliary.tuning.cli import processor  # after parsing: torch takes seconds, --help should not
    from ciliary.tuning.training import policy_job as train

    if owns_process:
        processor.flush_denormals()
    return train.run(
        options.algo,
        images=options.images if options.bsds is None else options.bsds / "images" / "train",
        objective=options.objective,
        n_steps=options.steps,
        n_views=options.views,
        n_cases=options.cases,
        without=tuple(word.strip() for word in options.without.split(",") if word.strip()),
        n_envs=options.envs,
        size_px=options.size,
        depth=options.depth,
        features=options.features,
        seed=options.seed,
        out=options.out,
        register=options.register,
        store=options.store,
        is_quiet=options.quiet,
    )


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
