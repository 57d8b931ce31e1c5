#!/usr/bin/env python
"""The cortex's final exams: naming from few examples, robustness to occlusion, energy."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ciliary.tuning.cli.arguments import add_learned_argument, at_least

EPILOG = """\
exams         few-shot   how well test images are named from 1, 5, 20 examples of each class
              occlusion  the same behind grey, noise and black squares of 25, 50 and 75 %, and how well M5 fills in
                         a hidden part of what it is told of a proto-object
              energy     operations and sparsity of each stage, experts that answer, and naming with fewer of them
data          an .npz of small images (train_images, train_labels, test_images, test_labels, classes), 64 px;
              a folder with train/ and val/ of class folders, or class folders alone (every third image is held out),
              middle square of 160 px; a .zip of Omniglot's one-shot runs, 96 px: the official runs, of one example
learned       without --learned all is mathematics; --learned m5 is M5 alone, on mathematical proto-objects

results       OUT/exam_<exam>.md, its figures beside it, and every number in OUT/exam_<exam>.json
interrupted   The same command goes on where it stood: what was perceived is kept in OUT/tokens.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 3 some images could not be read, the rest is
              done · 130 stopped by Ctrl-C or SIGTERM

examples      python scripts/examine.py few-shot --data cifar10.npz --learned all --out runs/examine/cifar
              python scripts/examine.py occlusion --data imagenette --learned all --deep efficientnet_lite0
              python scripts/examine.py energy --data mine --learned all --images 20
"""
EXAMS = ("few-shot", "occlusion", "energy")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="examine", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    add("exam", choices=EXAMS, help="which exam")
    add("--data", type=Path, required=True, metavar="PATH", help="named images: an .npz, a folder, or a .zip of runs")
    add_learned_argument(p)
    add("--weights", type=Path, metavar="FILE", help="of the learned stages (those that come with the project)")
    add("--deep", default="none", choices=("none", "efficientnet_lite0"), help="backbone for recognition (none)")
    add("--shots", type=_numbers, metavar="N,N", help="examples of each class (1,5,20; 5 for occlusion and energy)")
    add("--episodes", type=at_least(1), default=50, metavar="N", help="draws of examples (50)")
    add("--size", type=at_least(32), metavar="PX", help="side that images are brought to (64, 160 or 96, by kind)")
    add("--images", type=at_least(1), metavar="N", help="at most so many of a class, in training and in test (all)")
    add("--queries", type=at_least(1), metavar="N", help="at most so many test images of a class (as --images)")
    add("--tokens", type=at_least(1), default=16, metavar="N", help="heaviest proto-objects kept of an image (16)")
    add("--seed", type=at_least(0), default=0, metavar="N", help="of draws and occluders (0)")
    add("--out", type=Path, default=Path("runs/examine"), metavar="DIR", help="what is kept (runs/examine)")
    add("--quiet", action="store_true", help="no progress, no tables: only problems and the exit code")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Examine; returns the exit code."""
    p = parser()
    o = p.parse_args(argv)
    if o.shots is not None and o.exam != "few-shot" and len(o.shots) > 1:
        p.error(f"{o.exam} takes one number of --shots")
    from ciliary.tuning.benchmarks import job as exam
    from ciliary.tuning.benchmarks.data import ReadSettings
    from ciliary.tuning.benchmarks.perceive import Look
    from ciliary.tuning.cli import processor  # after parsing: torch takes seconds, --help should not

    if owns_process:
        processor.flush_denormals()
    settings = exam.ExamSettings(
        exam=o.exam,
        data=o.data,
        reading=ReadSettings(o.size, o.images, o.queries),
        look=Look(o.learned, o.weights, o.deep, o.tokens),
        shots=o.shots or ((1, 5, 20) if o.exam == "few-shot" else (5,)),
        n_episodes=o.episodes,
        seed=o.seed,
        out=o.out,
        is_quiet=o.quiet,
    )
    return exam.run(settings)


def _numbers(text: str) -> tuple[int, ...]:
    """``1,5,20`` as whole numbers from 1, in rising order."""
    return tuple(sorted({at_least(1)(part) for part in text.split(",")}))


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
