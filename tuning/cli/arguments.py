"""Arguments that several scripts take. Imports nothing heavy: ``--help`` must not wait for torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Stages that have a learned part.
STAGES = ("m1", "m2", "m3", "m4", "m5")


def at_least(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number, and not a smaller one."""

    def whole_number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return whole_number


def assignment(text: str) -> tuple[str, float]:
    """The type of an argument ``NAME=VALUE`` with a number."""
    name, equals, value = text.partition("=")
    try:
        if equals:
            return name.strip(), float(value)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected NAME=VALUE with a number, such as n_regions=6, got {text!r}")


def add_cortex_arguments(parser: argparse.ArgumentParser) -> None:
    """``--size``, ``--depth`` and ``--features``: what the cortex looks at, and with which cues."""
    add = parser.add_argument
    add("--size", type=at_least(32), default=192, metavar="PX", help="long side that images are shrunk to (192)")
    add("--depth", default="none", choices=("none", "pictorial", "midas"), help="depth cue (none)")
    add("--features", default="none", choices=("none", "efficientnet_lite0"), help="backbone cue (none)")


def learned_stages(text: str) -> tuple[str, ...]:
    """The type of ``--learned``: ``all``, ``none``, or names such as ``m2,m5``, to names in their order."""
    if text in ("all", "none"):
        return STAGES if text == "all" else ()
    names = {name.strip() for name in text.split(",")}
    if unknown := sorted(names - set(STAGES)):
        wrong = ", ".join(map(repr, unknown))
        raise argparse.ArgumentTypeError(
            f"no learned part for {wrong}; expected all, none, or some of {','.join(STAGES)}"
        )
    return tuple(name for name in STAGES if name in names)


def add_learned_argument(parser: argparse.ArgumentParser) -> None:
    """``--learned``: which stages of the cortex use their learned part."""
    parser.add_argument(
        "--learned",
        type=learned_stages,
        default=(),
        metavar="all|none|m1,m2,...",
        help="stages that use their learned part beside the mathematical one (none)",
    )


def add_contest_arguments(parser: argparse.ArgumentParser, *, methods: str, table: str, out: str, page: str) -> None:
    """What every script takes that lets methods play on labelled images.

    Args:
        parser: gets the arguments.
        methods: who plays by default, for people.
        table: what the response table is good for, for people.
        out: default folder.
        page: name of the page in it.
    """
    add = parser.add_argument
    add("--bsds", type=Path, metavar="PATH", help="BSDS500: the folder that holds images/ and groundTruth/")
    add("--labelled", type=Path, metavar="FOLDER", help="your own: images/ and labels/<name>*.png")
    add("--split", default="val", choices=("val", "train"), help="of BSDS500 (val)")
    add("--images", type=at_least(1), metavar="N", help="so many, evenly spaced (all)")
    add("--methods", metavar="A,B,C", help=f"who plays ({methods})")
    add("--disturb", metavar="LIST", default="none,mixed:3", help="how images are disturbed (none,mixed:3)")
    add("--workers", type=at_least(1), default=1, metavar="N", help="processes (1)")
    add_cortex_arguments(parser)
    add_learned_argument(parser)
    add("--out", type=Path, default=Path(out), metavar="DIR", help=f"what is kept ({out})")
    add("--table", type=Path, metavar="FILE", help=f"response table of these images: {table}")
    add("--train-table", type=Path, metavar="FILE", help="response table of others: chooses best fixed settings")
    add("--page", type=Path, metavar="FILE", help=f"results page (OUT/{page})")
    add("--quiet", action="store_true", help="no progress: only problems and the exit code")


def contest_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that :func:`add_contest_arguments` asked for, by the names the jobs know them by."""
    methods = options.methods
    return {
        "bsds": options.bsds,
        "labelled": options.labelled,
        "split": options.split,
        "n_images": options.images,
        "methods": None if methods is None else tuple(m.strip() for m in methods.split(",") if m.strip()),
        "disturb": options.disturb,
        "n_workers": options.workers,
        "size_px": options.size,
        "depth": options.depth,
        "features": options.features,
        "learned": options.learned,
        "out": options.out,
        "table": options.table,
        "train_table": options.train_table,
        "page": options.page,
        "is_quiet": options.quiet,
    }
