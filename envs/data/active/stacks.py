"""Real optics and shutters: one scene photographed at many settings, or frames in time.

A folder holds the frames of one scene and nothing else that is an image, in any of the usual formats, ordered by name
(numbers in names count as numbers: ``step10`` comes after ``step9``). All frames have one size.

**Focus stack**: frames from one end of the focus range to the other. ``focus.txt`` beside them may give the dioptres of
each, one number a line, ascending or descending; without it they are spread evenly over the range of the lens.

**Exposure stack**: photographs with ``ExposureTime`` in their EXIF.

**Video**: frames in time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags
from torch import Tensor

from ciliary.cortex.eye.parameters import FOCUS_DPT, PUPIL_MM, WIDTH_DEG
from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.active.scene import EyeScene, SceneFrames
from ciliary.envs.data.opening import UnreadableImage, open_picture
from ciliary.envs.data.reading import read_image
from ciliary.envs.data.sources import EXTENSIONS, not_our_own

FOCUS_FILE = "focus.txt"
_END_WEIGHT = 1e-4  # of what is black in the longest or white in the shortest exposure


@dataclass(frozen=True, eq=False)
class FocusStack:
    """A scene through a real lens.

    Attributes:
        name: of its folder.
        frames: (N, 3, H, W) linear light, ascending in ``focus_dpt``.
        focus_dpt: (N,) ascending.
        px_per_deg: pixels a degree.
        notes: for the user.
    """

    name: str
    frames: Tensor
    focus_dpt: Tensor
    px_per_deg: float
    notes: tuple[str, ...] = ()

    def retinal_image(self, focus_dpt: Tensor) -> Tensor:
        """What is seen at a focus (B,), (B, 3, H, W): the frame, or the two next to it in shares.

        Between frames it is a mixture, a little softer than the lens would be. Beyond the ends it is the end.
        Differentiable in focus. The pupil is the photographer's.
        """
        marks = self.focus_dpt.to(focus_dpt)
        left = (torch.searchsorted(marks, focus_dpt.detach().contiguous()) - 1).clamp(0, len(marks) - 2)
        share = ((focus_dpt - marks[left]) / (marks[left + 1] - marks[left])).clamp(0, 1).view(-1, 1, 1, 1)
        frames = self.frames.to(focus_dpt.device)
        return torch.lerp(frames[left], frames[left + 1], share.to(frames.dtype))

    def as_scene(self) -> EyeScene:
        """A scene whose lens can only be at the frames: the nearest to its setting is what an eye sees."""
        return _scene(self.name, self.frames, self.focus_dpt, "focus_dpt", self.px_per_deg, self.notes)


@dataclass(frozen=True, eq=False)
class ExposureStack:
    """A scene through a shutter.

    Attributes:
        name: of its folder.
        frames: (N, 3, H, W) linear light as the camera clipped it, the longest exposure first.
        exposure_s: (N,) descending.
        px_per_deg: pixels a degree.
    """

    name: str
    frames: Tensor
    exposure_s: Tensor
    px_per_deg: float

    def merge(self) -> EyeScene:
        """The scene's light over its whole range, flat.

        Light / exposure of each frame, weighted by how far from black and white it is (Debevec & Malik 1997) and by its
        exposure, since a longer one has caught more photons. What is white in the shortest or black in the longest is
        taken from there. 1 is what the middle frame shows as white.
        """
        # A hat over the signal, of which sRGB makes about the root of the light.
        signal = self.frames.amax(1, keepdim=True).clamp(0, 1).sqrt()
        hat = 1 - (2 * signal - 1).abs()
        hat[0] += _END_WEIGHT * (1 - signal[0])
        hat[-1] += _END_WEIGHT * signal[-1]
        seconds = self.exposure_s.view(-1, 1, 1, 1).to(hat.dtype)
        weight = hat * seconds
        middle_s = float(self.exposure_s[len(self.exposure_s) // 2])
        light = (weight * self.frames / seconds).sum(0) / weight.sum(0) * middle_s
        return EyeScene(self.name, light, torch.zeros_like(light[:1]), self.px_per_deg, n_layers=1)

    def as_scene(self) -> EyeScene:
        """A scene whose pupil can only be at the frames, spread over its range by factors, the longest at the widest.

        A shutter spans more than a pupil: it stands for all that adapts an eye to light. White is a frame's own.
        """
        marks = torch.from_numpy(np.geomspace(*PUPIL_MM, len(self.frames))).float()
        notes = (f"{len(marks)} exposures stand at pupils of {PUPIL_MM[0]:g} to {PUPIL_MM[1]:g} mm",)
        return _scene(self.name, self.frames.flip(0), marks, "pupil_mm", self.px_per_deg, notes)


@dataclass(frozen=True, eq=False)
class Video(Sequence[EyeScene]):
    """Frames in time, read on access; each is a flat scene."""

    name: str
    paths: tuple[Path, ...]
    long_side_px: int | None
    width_deg: float

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> EyeScene:  # type: ignore[override]  # a part of a video is not asked for
        path = self.paths[index]
        light = srgb_to_linear(read_image(path, self.long_side_px).image)
        scale = light.shape[2] / self.width_deg
        return EyeScene(f"{self.name}/{path.stem}", light, torch.zeros_like(light[:1]), scale, n_layers=1)


def _scene(
    name: str, frames: Tensor, marks: Tensor, muscle: str, px_per_deg: float, notes: tuple[str, ...]
) -> EyeScene:
    light = frames[len(frames) // 2]
    own = SceneFrames(frames, marks, muscle)
    return EyeScene(name, light, torch.zeros_like(light[:1]), px_per_deg, n_layers=1, notes=notes, frames=own)


def read_focus_stack(
    folder: str | Path, *, long_side_px: int | None = None, width_deg: float = WIDTH_DEG
) -> FocusStack:
    """A focus stack (the format is above).

    Raises:
        ValueError: no such folder, fewer than two frames, frames of different sizes, or a ``focus.txt`` that does not
            give one number a frame, all ascending or all descending.
        UnreadableImage: a frame that cannot be read.
    """
    folder = Path(folder)
    paths = frame_paths(folder, at_least=2)
    frames = read_frames(paths, long_side_px)
    marks = folder / FOCUS_FILE
    notes: tuple[str, ...] = ()
    if marks.is_file():
        focus = _read_marks(marks, len(paths))
    else:
        focus = np.linspace(*FOCUS_DPT, len(paths))
        notes = (f"no {FOCUS_FILE}: frames are spread evenly over {FOCUS_DPT[0]:g}..{FOCUS_DPT[1]:g} dpt, in order",)
    order = np.argsort(focus)
    return FocusStack(
        folder.resolve().name,
        frames[torch.from_numpy(order)],
        torch.from_numpy(focus[order]).float(),
        frames.shape[3] / width_deg,
        notes,
    )


def read_exposure_stack(
    folder: str | Path, *, long_side_px: int | None = None, width_deg: float = WIDTH_DEG
) -> ExposureStack:
    """An exposure stack (the format is above).

    Raises:
        ValueError: no such folder, fewer than two frames, frames of different sizes, no ``ExposureTime`` in a frame's
            EXIF, or two frames of one exposure.
        UnreadableImage: a frame that cannot be read.
    """
    folder = Path(folder)
    paths = frame_paths(folder, at_least=2)
    seconds = torch.tensor([_exposure_s(path) for path in paths])
    if len(seconds.unique()) < len(seconds):
        raise ValueError(f"{folder}: expected every frame at another exposure, got {seconds.tolist()} s")
    frames = read_frames(paths, long_side_px)
    order = seconds.argsort(descending=True)
    return ExposureStack(folder.resolve().name, frames[order], seconds[order], frames.shape[3] / width_deg)


def read_stack(
    folder: str | Path, *, long_side_px: int | None = None, width_deg: float = WIDTH_DEG
) -> FocusStack | ExposureStack:
    """A stack of either kind: of exposures where every frame says another ``ExposureTime``, else of focus.

    Raises:
        ValueError, UnreadableImage: as :func:`read_focus_stack`.
    """
    try:
        seconds = [_exposure_s(path) for path in frame_paths(Path(folder), at_least=2)]
    except ValueError:
        seconds = []
    if len(set(seconds)) == len(seconds) > 1:
        return read_exposure_stack(folder, long_side_px=long_side_px, width_deg=width_deg)
    return read_focus_stack(folder, long_side_px=long_side_px, width_deg=width_deg)


def read_video(folder: str | Path, *, long_side_px: int | None = None, width_deg: float = WIDTH_DEG) -> Video:
    """Frames of a folder in order; at least two.

    Raises:
        ValueError: no such folder, or fewer than two frames.
    """
    folder = Path(folder)
    return Video(folder.resolve().name, tuple(frame_paths(folder, at_least=2)), long_side_px, width_deg)


def frame_paths(folder: Path, *, at_least: int) -> list[Path]:
    """Image files of a folder in the order of their names, numbers as numbers."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; expected one that holds the frames of one scene")
    found = (p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and not p.name.startswith("."))
    paths = not_our_own(sorted(found, key=_natural))
    if len(paths) < at_least:
        raise ValueError(
            f"{folder}: expected {at_least} frames or more of one scene, got {len(paths)}; one is a photograph"
        )
    return paths


def read_frames(paths: Sequence[Path], long_side_px: int | None) -> Tensor:
    """Frames as linear light (N, 3, H, W).

    Raises:
        ValueError: sizes that differ, naming the first that does.
        UnreadableImage: one cannot be read.
    """
    frames: list[Tensor] = []
    for path in paths:
        image = read_image(path, long_side_px).image
        if frames and image.shape != frames[0].shape:
            height, width = image.shape[1:]
            raise ValueError(
                f"{path}: is {width}x{height} px but {paths[0].name} is {frames[0].shape[2]}x{frames[0].shape[1]}; "
                "the frames of one scene must have one size"
            )
        frames.append(srgb_to_linear(image))
    return torch.stack(frames)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def _read_marks(path: Path, n_frames: int) -> np.ndarray:
    words = path.read_text(encoding="utf-8").split()
    try:
        focus = np.array([float(word) for word in words])
    except ValueError:
        raise ValueError(f"{path}: expected numbers, dioptres of each frame, got {' '.join(words)[:60]!r}") from None
    steps = np.diff(focus)
    is_ordered = bool(np.isfinite(focus).all()) and bool((steps > 0).all() or (steps < 0).all())
    if len(focus) != n_frames or not is_ordered:
        raise ValueError(
            f"{path}: expected {n_frames} dioptres, one a frame, all ascending or all descending, got {focus.tolist()}"
        )
    return focus


def _exposure_s(path: Path) -> float:
    try:
        with open_picture(path) as file:
            exif = file.getexif()
            value = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ExposureTime) or exif.get(
                ExifTags.Base.ExposureTime
            )
            seconds = float(value) if value is not None else 0.0
    except UnreadableImage as error:
        raise ValueError(f"{path}: its EXIF cannot be read ({error.reason})") from error
    if not seconds > 0:
        raise ValueError(f"{path}: no ExposureTime in its EXIF; keep the camera's own files, editors often drop it")
    return seconds
