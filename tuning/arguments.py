"""Arguments that several scripts take. Imports nothing heavy: ``--help`` must not wait for torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable


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
