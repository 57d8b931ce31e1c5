"""Photographs with their depth, of folders: a user's own frames, and Middlebury's stereo scenes of 2005.

Middlebury: Scharstein & Pal 2007.

A folder is one scene, in one of two formats; :func:`read_depth` looks for either in a folder and in all below it.

**Frames**, as a depth camera writes them and anyone can: ``<name>.color.jpg`` (or ``.png``) and beside each
``<name>.depth.png``, of the same size, 16 bits: millimetres along the optical axis, 0 where unknown. All frames of one
folder are one scene: one room, however many looks at it.

**Stereo** (Middlebury 2005, third size): ``view1.png``, ``disp1.png`` (8 bits: three times the disparity in
pixels, 0 where unknown) and ``dmin.txt`` (what the cropping took off the disparity, in full-size pixels, of which a
third is added). Depth is focal length x baseline / disparity; 1246.7 px and 160 mm, the set's own, make it millimetres.

Nothing else is read of a folder (poses, intrinsics).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from torch import Tensor

from ciliary.envs.data.opening import UnreadableImage, open_picture
from ciliary.envs.data.reading import read_image

COLOURS = (".color.jpg", ".color.png")
DEPTH = ".depth.png"
STEREO = "view1.png", "disp1.png", "dmin.txt"
_FOCAL_PX, _BASELINE_MM = 3740 / 3, 160.0  # the set's page: full size 3740 px
_PER_PX = 3  # grey levels of disp1.png to a pixel of disparity at third size, and full-size pixels to one of third size


@dataclass(frozen=True, eq=False)
class DepthImage:
    """A photograph and how far everything in it is.

    Attributes:
        scene: path of its folder's last name; frames of one scene show the same things.
        name: of the frame within the scene.
        image: (3, H, W) float32, sRGB in [0, 1], at full size.
        depth_mm: (H, W) float32 along the optical axis; 0 where unknown.
    """

    scene: str
    name: str
    image: Tensor
    depth_mm: Tensor

    @property
    def is_known(self) -> Tensor:
        """(H, W) bool."""
        return self.depth_mm > 0


@dataclass(frozen=True)
class DepthEntry:
    """The files of one frame. ``shift`` is the text file of a stereo scene's disparity offset, None for depth in mm."""

    scene: str
    name: str
    colour: Path
    depth: Path
    shift: Path | None = None

    def read(self) -> DepthImage:
        """The frame.

        Raises:
            UnreadableImage: the photograph cannot be read.
            ValueError: the depth cannot be read, is of another size or kind, or is unknown everywhere.
        """
        image = read_image(self.colour, None).image
        values = _read_values(self.depth, bits=16 if self.shift is None else 8)
        if values.shape != tuple(image.shape[1:]):
            raise ValueError(
                f"{self.depth}: is {values.shape[1]}x{values.shape[0]} px but {self.colour.name} is "
                f"{image.shape[2]}x{image.shape[1]}; depth must have the photograph's size, pixel for pixel"
            )
        depth = values if self.shift is None else disparity_to_mm(values, offset_px=_read_offset(self.shift))
        if not (depth > 0).any():
            raise ValueError(f"{self.depth}: no pixel is known (all are 0); leave this frame out")
        return DepthImage(self.scene, self.name, image, torch.from_numpy(depth.astype(np.float32)))


@dataclass(frozen=True)
class DepthSet(Sequence[DepthImage]):
    """Frames with depth, read on access."""

    entries: tuple[DepthEntry, ...]

    @property
    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes, each once, in order."""
        return tuple(dict.fromkeys(entry.scene for entry in self.entries))

    def of_scene(self, scene: str) -> DepthSet:
        """The frames of one scene."""
        return DepthSet(tuple(entry for entry in self.entries if entry.scene == scene))

    def without(self, others: DepthSet) -> DepthSet:
        """Those whose photograph is none of the others', byte for byte, wherever it lies."""
        theirs = {_digest(entry.colour) for entry in others.entries}
        return DepthSet(tuple(entry for entry in self.entries if _digest(entry.colour) not in theirs))

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> DepthImage: ...
    @overload
    def __getitem__(self, index: slice) -> DepthSet: ...
    def __getitem__(self, index: int | slice) -> DepthImage | DepthSet:
        return DepthSet(self.entries[index]) if isinstance(index, slice) else self.entries[index].read()


def read_depth(roots: Iterable[str | Path]) -> DepthSet:
    """All scenes in some folders and below them, in name order; a scene is called as its folder.

    Raises:
        ValueError: no scene, two of one name, a frame without its depth, depth without its photograph, or a stereo
            scene that lacks a file.
    """
    entries: list[DepthEntry] = []
    places: dict[str, Path] = {}
    for root in map(Path, roots):
        found = [e for folder in [root, *sorted(p for p in root.rglob("*") if p.is_dir())] for e in _scene(folder)]
        if not found:
            raise ValueError(
                f"{root}: no scene with depth; expected <name>{COLOURS[0]} with <name>{DEPTH} (16 bits, mm), "
                f"or {', '.join(STEREO)}, in it or in folders below"
            )
        for entry in found:
            place = entry.colour.parent.resolve()
            if places.setdefault(entry.scene, place) != place:
                raise ValueError(
                    f"two scenes are called {entry.scene!r}: {places[entry.scene]} and {place}; rename one"
                )
        entries += found
    return DepthSet(tuple({entry.colour.resolve(): entry for entry in entries}.values()))


def disparity_to_mm(values: np.ndarray, *, offset_px: float) -> np.ndarray:
    """Depth of Middlebury's disparity maps: grey levels (H, W), 0 unknown, and the offset in full-size pixels."""
    disparity = (values.astype(np.float32) + offset_px) / _PER_PX
    return np.where(values > 0, _FOCAL_PX * _BASELINE_MM / np.maximum(disparity, 1e-3), 0).astype(np.float32)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _scene(folder: Path) -> list[DepthEntry]:
    scene = folder.resolve().name
    present = [name for name in STEREO if (folder / name).is_file()]
    if set(present) & set(STEREO[1:]):
        if missing := [name for name in STEREO if name not in present]:
            raise ValueError(f"{folder}: a stereo scene lacks {', '.join(missing)}; it needs {', '.join(STEREO)}")
        view, disparity, shift = (folder / name for name in STEREO)
        return [DepthEntry(scene, scene, view, disparity, shift)]
    colours = {p.name[: -len(end)]: p for end in COLOURS for p in folder.glob(f"*{end}")}
    depths = {p.name.removesuffix(DEPTH): p for p in folder.glob(f"*{DEPTH}")}
    for name in sorted(colours.keys() ^ depths.keys()):
        if name in colours:
            raise ValueError(f"{colours[name]}: its depth is missing, expected {folder / name}{DEPTH}")
        raise ValueError(f"{depths[name]}: its photograph is missing, expected {folder / name}{COLOURS[0]} or .png")
    return [DepthEntry(scene, name, colours[name], depths[name]) for name in sorted(colours)]


def _read_values(path: Path, *, bits: int) -> np.ndarray:
    try:
        with open_picture(path) as file:
            values, mode = np.asarray(file), file.mode
    except UnreadableImage as error:
        raise ValueError(f"{path}: cannot be read as a depth map ({error.reason})") from error
    if values.ndim != 2 or mode not in (("I;16", "I;16B", "I;16L", "I") if bits == 16 else ("L",)):
        what = "16 bits: millimetres" if bits == 16 else "8 bits: three times the disparity in pixels"
        raise ValueError(f"{path}: expected one channel of {what}, 0 unknown; got mode {mode}")
    return values


def _read_offset(path: Path) -> float:
    text = path.read_text(encoding="utf-8").strip()
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{path}: expected one number (full-size pixels), got {text[:40]!r}") from None
