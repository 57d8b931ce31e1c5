"""Arguments that several scripts take. Imports nothing heavy: ``--help`` must not wait for torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def at_least(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number, and not a smaller one."""

    def whole_number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {value}")
        return value

    return whole_number


def add_cortex_arguments(parser: argparse.ArgumentParser) -> None:
    """``--size``, ``--depth`` and ``--features``: what the cortex looks at, and with which cues."""
    add = parser.add_argument
    add("--size", type=at_least(32), default=192, metavar="PX", help="long side that images are shrunk to (192)")
    add("--depth", default="none", choices=("none", "pictorial", "midas"), help="depth cue (none)")
    add("--features", default="none", choices=("none", "efficientnet_lite0"), help="backbone cue (none)")


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
        "out": options.out,
        "table": options.table,
        "train_table": options.train_table,
        "page": options.page,
        "is_quiet": options.quiet,
    }
