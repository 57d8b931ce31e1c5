"""Where everything in a frame has gone by another frame, where depth and the camera's place are known.

Beside ``<name>.color.jpg`` and ``<name>.depth.png`` (:mod:`ciliary.envs.data.depth`) lies ``<name>.pose.txt``: 4 x 4
numbers, from the camera to the room, in metres, x to the right, y down, z ahead, as the data sets of RGB-D frames have
it (Shotton et al. 2013, "Scene coordinate regression forests", whose "7 scenes" these folders are).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.envs.data.active.scene import INTRINSICS, fill_unknown
from ciliary.envs.data.depth import DepthEntry, read_depth

POSE = ".pose.txt"
_SAME_DEPTH = 0.05  # share of the depth by which what is seen may differ from what was carried there
_NEAREST_MM = 10.0
_FOCAL_SHARE = 585 / 640  # of the width


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """A frame of a room whose camera is known.

    Attributes:
        name: of the frame.
        image: (3, H, W) float32, sRGB in [0, 1].
        depth_mm: (H, W) float64 along the optical axis, 0 where unknown.
        pose: (4, 4) float64, camera to room, in mm.
        focal_px: of this image.
    """

    name: str
    image: Tensor
    depth_mm: Tensor
    pose: Tensor
    focal_px: float


def read_posed(entry: DepthEntry, *, long_side_px: int | None = None, focal_px: float | None = None) -> PosedFrame:
    """A frame with its pose, shrunk to ``long_side_px`` and never enlarged.

    Args:
        entry: of :func:`~ciliary.envs.data.depth.read_depth`.
        long_side_px: of the image; its own when None.
        focal_px: of the file; when None, as ``camera-intrinsics.txt`` beside the frame says.

    Raises:
        ValueError: no pose beside it, one that is no 4 x 4 matrix, or no focal length.
    """
    stem = entry.depth.name.removesuffix(".depth.png")
    pose = _matrix(entry.depth.with_name(stem + POSE), 4, "the camera's pose, camera to room, in metres")
    pose[:3, 3] *= 1000
    if focal_px is None:
        folder = entry.colour.parent
        if not (folder / INTRINSICS).is_file():
            raise ValueError(f"{folder}: no {INTRINSICS}; say the focal length in pixels (--focal-px)")
        focal_px = float(_matrix(folder / INTRINSICS, 3, "focal lengths in pixels on the diagonal")[0, 0])
    frame = entry.read()
    height, width = frame.image.shape[-2:]
    scale = 1.0 if long_side_px is None else min(1.0, long_side_px / max(height, width))
    size = [max(round(side * scale), 1) for side in (height, width)]
    image = F.interpolate(frame.image[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    depth = F.interpolate(frame.depth_mm[None, None].double(), size=size, mode="nearest-exact")[0, 0]
    return PosedFrame(frame.name, image.clamp(0, 1), depth, torch.from_numpy(pose), focal_px * size[1] / width)


def true_flow(one: PosedFrame, other: PosedFrame) -> tuple[Tensor, Tensor]:
    """How far each pixel of ``one`` has moved by ``other``, of a room in which nothing but the camera moves.

    The optical axis is taken to meet the middle of the picture. Where depth is unknown it is that of the nearest pixel.

    Returns:
        flow_px (1, 2, H, W) float32, y and x; is_seen (1, 1, H, W) bool: its depth is known, it falls inside of the
        other picture, and what stands there is as far away (within 5 %), so that nothing hides it.

    Raises:
        ValueError: frames of different sizes.
    """
    if one.image.shape != other.image.shape:
        raise ValueError(f"expected frames of one size, got {tuple(one.image.shape)} and {tuple(other.image.shape)}")
    height, width = one.depth_mm.shape
    z, _ = fill_unknown(one.depth_mm, one.name)
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (height, width)), indexing="ij")
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    ray = torch.stack([(x - middle_x) / one.focal_px, (y - middle_y) / one.focal_px, torch.ones_like(x)], -1)
    between = torch.linalg.solve(other.pose, one.pose)
    point = (ray * z[..., None]) @ between[:3, :3].T + between[:3, 3]
    ahead = point[..., 2].clamp_min(_NEAREST_MM)
    to_x = other.focal_px * point[..., 0] / ahead + middle_x
    to_y = other.focal_px * point[..., 1] / ahead + middle_y
    flow = torch.stack([to_y - y, to_x - x])[None].float()
    column, row = to_x.round(), to_y.round()
    is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (point[..., 2] > _NEAREST_MM)
    there = other.depth_mm[row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()]
    is_seen = is_inside & (one.depth_mm > 0) & (there > 0) & ((there - ahead).abs() < _SAME_DEPTH * ahead)
    return flow, is_seen[None, None]


@dataclass(frozen=True, eq=False)
class Run:
    """Frames of one scene at rest before a camera that moves.

    Attributes:
        frames: (T, 3, H, W), sRGB in [0, 1].
        flow_px: (T - 1, 2, H, W), (y, x): where what a pixel of frame t shows lies in frame t + 1, less where it is.
        is_known: (T - 1, H, W) bool: depth is known there and the point is in sight in both.
    """

    frames: Tensor
    flow_px: Tensor
    is_known: Tensor


def read_run(folder: Path, *, width_px: int) -> Run:
    """A folder of frames with depth and poses, in the order of their names, at ``width_px``.

    Where ``camera-intrinsics.txt`` is missing the focal length is that of the sets named above, 585 px of 640.

    Raises:
        ValueError: fewer than two frames, no depth, or a pose that is missing or is no 4 x 4 matrix.
    """
    entries = [entry for entry in read_depth([folder]).entries if entry.colour.parent == folder]
    if len(entries) < 2:
        raise ValueError(f"{folder}: expected two frames or more, got {len(entries)}")
    focal_px = None if (folder / INTRINSICS).is_file() else _FOCAL_SHARE * entries[0].read().image.shape[-1]
    frames = [read_posed(entry, long_side_px=width_px, focal_px=focal_px) for entry in entries]
    flows, known = zip(*(true_flow(one, other) for one, other in pairwise(frames)), strict=True)
    return Run(torch.stack([frame.image for frame in frames]), torch.cat(flows), torch.cat(known)[:, 0])


def _matrix(path: Path, n: int, what: str) -> np.ndarray:
    try:
        matrix = np.loadtxt(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: expected {n} x {n} numbers ({what}), {error}") from None
    if matrix.shape != (n, n) or not np.isfinite(matrix).all():
        raise ValueError(f"{path}: expected {n} x {n} numbers ({what}), got shape {matrix.shape}")
    return np.array(matrix, dtype=np.float64)
