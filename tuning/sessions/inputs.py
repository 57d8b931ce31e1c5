"""Which images a session is shown. They are read one by one, when their turn comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ciliary.envs.data.sources import Photograph, bundled, expand_paths, read_image
from ciliary.tuning.runs.files import plan_stems

SHOWCASE = ("chelsea", "coffee", "rocket")
SHOWCASE_DISTURBANCES = ("low_light:3", "gaussian_noise:3")


@dataclass(frozen=True)
class Input:
    """One image to come.

    Attributes:
        name: short name, unique within the session; names files, runs and studies.
        label: what the user called it, for messages.
        load: reads it; may raise ``UnreadableImage``.
    """

    name: str
    label: str
    load: Callable[[], Photograph]


def collect(paths: Sequence[str | Path], long_side_px: int) -> tuple[list[Input], list[str]]:
    """Files and folders to inputs, and a line for each path which gave none.

    A name is the file's stem; a repeated one gets ``_2``, ``_3``, ...
    """
    files, problems = expand_paths(paths)
    names = [row["none"] for row in plan_stems((path.stem for path in files), ["none"])]
    inputs = [
        Input(name, str(path), partial(read_image, path, long_side_px)) for name, path in zip(names, files, strict=True)
    ]
    return inputs, [str(problem) for problem in problems]


def showcase(long_side_px: int) -> list[Input]:
    """The handful of bundled photographs that is shown when no image is given."""
    source = bundled(long_side_px, SHOWCASE)
    return [Input(name, name, partial(source.find, name)) for name in source.names]
