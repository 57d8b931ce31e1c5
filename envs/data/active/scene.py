"""Scenes for the eye: linear light, nearness of every pixel, and how large a pixel is.

A photograph is flat. One with depth (:mod:`ciliary.envs.data.depth` says in which folders) has a ``nearness``: rooms
span half a dioptre, for which no lens has to move; five times nearer they span what reading and looking up does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ciliary.cortex.eye.layers import Layers, split_layers
from ciliary.cortex.eye.parameters import FOCUS_DPT, WIDTH_DEG
from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.depth import DepthEntry, DepthImage
from ciliary.envs.data.reading import Photograph

#: Luminance of an sRGB display's white (IEC 61966-2-1).
WHITE_CD_M2 = 80.0
INTRINSICS = "camera-intrinsics.txt"  # 3 x 3, focal lengths in pixels on its diagonal
_STEREO_FOCAL_PX = 3740 / 3  # Middlebury 2005 at third size


@dataclass(frozen=True, eq=False)
class SceneFrames:
    """A scene as real optics or a real shutter showed it, at some settings of one muscle: nothing of it is computed.

    Attributes:
        light: (N, 3, H, W) float32, linear, >= 0, N >= 2.
        marks: (N,) ascending settings of the muscle, in its unit.
        muscle: ``focus_dpt`` or ``pupil_mm``.
    """

    light: Tensor
    marks: Tensor
    muscle: str

    def __post_init__(self) -> None:
        if self.muscle not in ("focus_dpt", "pupil_mm"):
            raise ValueError(f"expected frames at settings of focus_dpt or pupil_mm, got {self.muscle!r}")
        n = len(self.light)
        if self.light.ndim != 4 or n < 2 or tuple(self.marks.shape) != (n,) or bool((self.marks.diff() <= 0).any()):
            raise ValueError(
                f"expected frames (N, 3, H, W) with N >= 2 ascending marks, got {tuple(self.light.shape)} and "
                f"{self.marks.tolist()}"
            )

    def __len__(self) -> int:
        return len(self.light)

    def scaled(self, setting: Tensor) -> Tensor:
        """Settings on the scale by which they are near to one another: pupils by their factor, lenses by dioptres."""
        return setting.log() if self.muscle == "pupil_mm" else setting

    def nearest(self, setting: float) -> Tensor:
        """The frame (3, H, W) whose mark is nearest."""
        marks, place = self.scaled(self.marks), self.scaled(torch.tensor(setting))
        return self.light[int((marks - place).abs().argmin())]


@dataclass(frozen=True, eq=False)
class SceneFilm:
    """A scene in time, its frames made or read when they are needed. After the last one it stands still.

    Attributes:
        n_frames: >= 2.
        frame_ms: between two frames, > 0.
        at: the scene of frame i, 0 .. n_frames - 1, of one size and field, without a film of its own.
        mover_deg: (y, x) from the centre at which frame i has the middle of what moves, where somebody knows: truth,
            for evaluators.
    """

    n_frames: int
    frame_ms: float
    at: Callable[[int], EyeScene]
    mover_deg: Callable[[int], tuple[float, float]] | None = None

    def __post_init__(self) -> None:
        if self.n_frames < 2 or not self.frame_ms > 0:
            raise ValueError(
                f"expected a film of two frames or more and frame_ms > 0, got {self.n_frames} and {self.frame_ms}"
            )


@dataclass(frozen=True, eq=False)
class EyeScene:
    """What an eye can look at.

    Attributes:
        name: of the scene.
        light: (3, H, W) float32, linear, >= 0; 1 is the white of a photograph, more is allowed.
        distance_dpt: (1, H, W) float32, nearness of every pixel, finite and >= 0.
        px_per_deg: pixels a degree.
        white_cd_m2: luminance of light 1.
        level_dpt: the planes it is made of, ascending, where it is made of planes.
        n_layers: into how many layers it is cut where it is not; 1 for a flat scene.
        notes: what had to be done to it, for the user.
        frames: the scene at settings of a muscle, where it was photographed so: then the nearest of them is what is
            seen, ``distance_dpt`` says nothing and ``light`` is one of them, to be shown.
        film: the scene in time, where it has one: ``light`` and ``distance_dpt`` are those of its first frame.
    """

    name: str
    light: Tensor
    distance_dpt: Tensor
    px_per_deg: float
    white_cd_m2: float = WHITE_CD_M2
    level_dpt: tuple[float, ...] | None = None
    n_layers: int = 24
    notes: tuple[str, ...] = ()
    frames: SceneFrames | None = None
    film: SceneFilm | None = None

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames.light.shape[1:] != self.light.shape:
            raise ValueError(
                f"{self.name}: expected frames of the light's shape {tuple(self.light.shape)}, got "
                f"{tuple(self.frames.light.shape[1:])}"
            )
        if self.light.ndim != 3 or self.light.shape[0] != 3:
            raise ValueError(f"{self.name}: expected light (3, H, W), got {tuple(self.light.shape)}")
        if self.distance_dpt.shape != (1, *self.light.shape[1:]):
            raise ValueError(
                f"{self.name}: expected distance_dpt (1, {self.light.shape[1]}, {self.light.shape[2]}), the light's "
                f"size, got {tuple(self.distance_dpt.shape)}"
            )
        for what, values in (("light", self.light), ("distance_dpt", self.distance_dpt)):
            if not bool(torch.isfinite(values).all()) or float(values.min()) < 0:
                raise ValueError(f"{self.name}: expected {what} finite and >= 0; fill what is unknown first")
        if not self.px_per_deg > 0 or not self.white_cd_m2 > 0:
            raise ValueError(
                f"{self.name}: expected px_per_deg and white_cd_m2 > 0, got {self.px_per_deg} and {self.white_cd_m2}"
            )

    @property
    def size_px(self) -> tuple[int, int]:
        """(H, W)."""
        return int(self.light.shape[1]), int(self.light.shape[2])

    @property
    def field_deg(self) -> tuple[float, float]:
        """(height, width) in degrees: what :func:`ciliary.cortex.eye.parameters.eye_table` asks for."""
        return self.size_px[0] / self.px_per_deg, self.size_px[1] / self.px_per_deg

    def layers(self, device: torch.device | str | None = None) -> Layers:
        """The scene cut into layers, a batch of one. Takes longer than a look: keep it."""
        light, distance = self.light[None].to(device=device), self.distance_dpt[None].to(device=device)
        levels = None if self.level_dpt is None else torch.tensor(self.level_dpt, device=light.device)
        return split_layers(light, distance, n_layers=self.n_layers, level_dpt=levels)


def photograph_scene(
    photograph: Photograph, *, distance_dpt: float = 0.0, width_deg: float = WIDTH_DEG, white_cd_m2: float = WHITE_CD_M2
) -> EyeScene:
    """A photograph as a flat picture ``width_deg`` wide at one distance (0 dpt: far away).

    Raises:
        ValueError: a distance outside 0..10 dpt, or a width <= 0.
    """
    if not FOCUS_DPT[0] <= distance_dpt <= FOCUS_DPT[1]:
        raise ValueError(
            f"expected distance_dpt in {FOCUS_DPT[0]:g}..{FOCUS_DPT[1]:g}, which the lens reaches, got {distance_dpt:g}"
        )
    if not width_deg > 0:
        raise ValueError(f"expected width_deg > 0, got {width_deg}")
    light = srgb_to_linear(photograph.image)
    return EyeScene(
        photograph.name,
        light,
        torch.full_like(light[:1], distance_dpt),
        light.shape[2] / width_deg,
        white_cd_m2,
        n_layers=1,
        notes=photograph.notes,
    )


def depth_scene(
    image: DepthImage,
    *,
    nearness: float = 1.0,
    px_per_deg: float | None = None,
    long_side_px: int | None = None,
    n_layers: int = 24,
) -> EyeScene:
    """A photograph with depth.

    Args:
        image: light and depth along the optical axis; what is unknown (0 or not finite) is taken from the nearest known
            pixel, and said in ``notes``.
        nearness: every dioptre times so much: the same room, so many times smaller and nearer.
        px_per_deg: of the image as it is; None for :data:`WIDTH_DEG` across (:func:`px_per_deg_of` knows cameras).
        long_side_px: shrunk to this long side, never enlarged.
        n_layers: see :class:`EyeScene`.

    Raises:
        ValueError: no pixel is known, a nearness <= 0, or one that brings everything nearer than the lens reaches.
    """
    if not nearness > 0:
        raise ValueError(f"expected nearness > 0, got {nearness}")
    name = image.name if image.name == image.scene else f"{image.scene}/{image.name}"
    depth_mm, unknown = fill_unknown(image.depth_mm, name)
    notes = [f"{unknown:.1%} of the depth is unknown and was taken from the nearest known pixel"] if unknown else []
    if nearness != 1:
        notes.append(f"brought {nearness:g} times nearer")
    distance = (1000 * nearness / depth_mm)[None]
    if float(distance.min()) > FOCUS_DPT[1]:
        raise ValueError(
            f"{name}: everything is nearer than {FOCUS_DPT[1]:g} dpt, which no lens here reaches (from "
            f"{float(distance.min()):.1f} dpt); expected depth in millimetres, or choose nearness < {nearness:g}"
        )
    light = srgb_to_linear(image.image)
    scale = px_per_deg if px_per_deg is not None else light.shape[2] / WIDTH_DEG
    light, distance, scale = shrink(light, distance, scale, long_side_px)
    return EyeScene(name, light, distance, scale, n_layers=n_layers, notes=tuple(notes))


def px_per_deg_of(entry: DepthEntry) -> float | None:
    """Pixels a degree of a frame's camera: Middlebury's own, or of a ``camera-intrinsics.txt`` beside it; else None.

    Raises:
        ValueError: an intrinsics file that is no 3 x 3 matrix with a focal length.
    """
    if entry.shift is not None:
        return math.radians(_STEREO_FOCAL_PX)
    path = entry.colour.parent / INTRINSICS
    if not path.is_file():
        return None
    try:
        matrix = np.loadtxt(path)
    except ValueError as error:
        raise ValueError(f"{path}: expected 3 x 3 numbers, {error}") from None
    if matrix.shape != (3, 3) or not matrix[0, 0] > 0:
        raise ValueError(f"{path}: expected 3 x 3 numbers, the focal length in pixels first, got shape {matrix.shape}")
    return math.radians(float(matrix[0, 0]))


def fill_unknown(depth_mm: Tensor, name: str) -> tuple[Tensor, float]:
    """Depth (H, W) with what is unknown (<= 0 or not finite) from the nearest known pixel, and how much that was.

    Raises:
        ValueError: no pixel is known.
    """
    is_unknown = ~(torch.isfinite(depth_mm) & (depth_mm > 0))
    share = float(is_unknown.float().mean())
    if share == 1:
        raise ValueError(f"{name}: no depth is known (all 0 or not finite); leave it out or give it as a photograph")
    if share == 0:
        return depth_mm, 0.0
    y, x = ndimage.distance_transform_edt(is_unknown.numpy(), return_distances=False, return_indices=True)
    return depth_mm[torch.from_numpy(y).long(), torch.from_numpy(x).long()], share


def shrink(
    light: Tensor, distance_dpt: Tensor, px_per_deg: float, long_side_px: int | None
) -> tuple[Tensor, Tensor, float]:
    """Light by the mean of its area, distance by its nearest pixel (a mean would be a distance where nothing is)."""
    long = max(light.shape[1:])
    if long_side_px is None or long <= long_side_px:
        return light, distance_dpt, px_per_deg
    size = [max(round(side * long_side_px / long), 1) for side in light.shape[1:]]
    light = F.interpolate(light[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    distance = F.interpolate(distance_dpt[None], size=size, mode="nearest-exact")[0]
    return light.clamp_min(0), distance, px_per_deg * long_side_px / long


def stack_layers(scenes: Sequence[Layers]) -> Layers:
    """Scenes of one size and number of layers as one batch.

    Raises:
        ValueError: nothing, or sizes that differ.
    """
    shapes = {tuple(one.share.shape[1:]) for one in scenes}
    if len(shapes) != 1:
        raise ValueError(f"expected scenes of one size and number of layers, got (L, H, W) = {sorted(shapes)}")
    fields = ("light", "level_dpt", "share", "hidden_light", "hidden_share")
    return Layers(*(torch.cat([getattr(one, name) for one in scenes]) for name in fields))
