"""Which scenes an eye is shown: with depth, stacks, radiance pictures, photographs; read when their turn comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.envs.data.active.radiance import hdr_scene
from ciliary.envs.data.active.scene import EyeScene, depth_scene, photograph_scene
from ciliary.envs.data.active.stacks import read_stack
from ciliary.envs.data.depth import DEPTH, STEREO, DepthEntry, read_depth
from ciliary.envs.data.reading import read_image
from ciliary.envs.data.sources import EXTENSIONS
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.sources import fitted
from ciliary.tuning.runs.files import plan_stems
from ciliary.tuning.runs.record import printable

LENS, PUPIL = "focus_dpt", "pupil_mm"
HDR = ".hdr"
#: Photographs know no distance; they are looked at as pages are, at half a metre.
PHOTOGRAPH_DPT = 2.0
_STACK_SIDE_PX = 1024


@dataclass(frozen=True)
class FocusInput:
    """One scene to come.

    Attributes:
        name: unique; names files and runs.
        label: what the user called it, for messages.
        path: of the file or folder.
        load: reads it; may raise ``ValueError`` or ``OSError``.
    """

    name: str
    label: str
    path: Path
    load: Callable[[], EyeScene]


@dataclass(frozen=True, eq=False)
class FoundScene:
    """A scene that was read, and where it lies."""

    scene: EyeScene
    path: Path

    @property
    def original_size(self) -> tuple[int, int]:
        """(height, width), as it is watched."""
        return self.scene.size_px

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be done to it."""
        return self.scene.notes


def muscle_of(scene: EyeScene) -> str:
    """What there is to move: the pupil where light spans more than a display's white, or exposures; else the lens."""
    if scene.frames is not None:
        return scene.frames.muscle
    return PUPIL if float(scene.light.max()) > 1 else LENS


def collect(paths: Sequence[str], *, nearness: float, n_frames: int | None) -> tuple[list[FocusInput], list[str]]:
    """Inputs of files and folders, and a line for each path that gave none."""
    found: list[FocusInput] = []
    problems: list[str] = []
    for text in paths:
        try:
            found += _of(Path(text), nearness, n_frames)
        except (ValueError, OSError) as error:
            line = printable(" ".join(str(error).split()))
            problems.append(line if str(text) in line else f"{printable(str(text))}: {line}")
    names = [row["none"] for row in plan_stems((printable(one.name) for one in found), ["none"])]
    return [replace(one, name=name) for one, name in zip(found, names, strict=True)], problems


def _of(path: Path, nearness: float, n_frames: int | None) -> Iterator[FocusInput]:
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    if path.is_file():
        load = partial(_hdr, path) if path.suffix.lower() == HDR else partial(_photograph, path)
        yield FocusInput(path.stem, str(path), path, load)
        return
    if any(True for name in (f"*{DEPTH}", STEREO[1]) for _ in path.rglob(name)):
        for entry in evenly(read_depth([path]).entries, n_frames):
            name = entry.name if entry.name == entry.scene else f"{entry.scene}-{entry.name}"
            yield FocusInput(name, str(entry.colour), entry.colour, partial(read_depth_scene, entry, nearness))
        return
    files = [one for one in path.iterdir() if one.is_file() and not one.name.startswith(".")]
    radiance = sorted(one for one in files if one.suffix.lower() == HDR)
    for one in radiance:
        yield FocusInput(one.stem, str(one), one, partial(_hdr, one))
    if any(one.suffix.lower() in EXTENSIONS for one in files):
        yield FocusInput(path.resolve().name, str(path), path, partial(_stack, path))
    elif not radiance:
        below = sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))
        if not below:
            raise ValueError(f"{path}: nothing to focus on; expected frames of a stack, frames with depth, or .hdr")
        for one in below:
            yield from _of(one, nearness, n_frames)


def evenly(entries: Sequence[DepthEntry], n_most: int | None) -> list[DepthEntry]:
    """At most so many frames of each scene, evenly."""
    scenes: dict[str, list[DepthEntry]] = {}
    for entry in entries:
        scenes.setdefault(entry.scene, []).append(entry)
    kept: list[DepthEntry] = []
    for frames in scenes.values():
        n = len(frames) if n_most is None else min(n_most, len(frames))
        rows = np.unique(np.linspace(0, len(frames) - 1, n).round().astype(int))
        kept += [frames[i] for i in rows]
    return kept


def read_depth_scene(entry: DepthEntry, nearness: float) -> EyeScene:
    """A frame with depth, as environments show it."""
    return in_field(depth_scene(entry.read(), nearness=nearness))


def _hdr(path: Path) -> EyeScene:
    return in_field(hdr_scene(path))


def _photograph(path: Path) -> EyeScene:
    scene = photograph_scene(read_image(path, None), distance_dpt=PHOTOGRAPH_DPT)
    return replace(in_field(scene), notes=(*scene.notes, f"a photograph: flat, at {1 / PHOTOGRAPH_DPT:g} m"))


def _stack(path: Path) -> EyeScene:
    return read_stack(path, long_side_px=_STACK_SIDE_PX).as_scene()


def in_field(scene: EyeScene) -> EyeScene:
    """At the size of the environments, as wide in degrees; as it is where it is smaller."""
    size_px = EyeConfig().size_px
    assert size_px is not None
    if any(side < wanted for side, wanted in zip(scene.size_px, size_px, strict=True)):
        return scene
    return replace(fitted(scene, size_px), px_per_deg=size_px[1] / WIDTH_DEG)
