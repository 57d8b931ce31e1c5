"""Sequences whose motion is known: gratings, plaids and noise that are made, and a run of frames with depth and poses.

**Run**: a folder of frames with depth (:mod:`ciliary.envs.data.depth`) and, for each, ``<name>.pose.txt``, the 4 x 4
matrix from the camera to the world in metres; and ``camera-intrinsics.txt`` (3 x 3), or else 585 px of focal length
at a width of 640, the middle of the image being the camera's. Where a point of one frame lies in the next follows
from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.envs.data.depth import read_depth

_FOCAL_PX, _AT_WIDTH_PX = 585.0, 640
_SAME_DEPTH = 0.05  # a point is seen in the next frame where depth there is its own but for this share


def grating_frames(
    *,
    direction_deg: float | Sequence[float],
    wavelength_px: float,
    speed_px: float,
    n_frames: int,
    size_px: tuple[int, int] = (120, 160),
    contrast: float = 0.5,
    mean: float = 0.3,
) -> Tensor:
    """(T, 3, H, W), sRGB: a grating that drifts, or with several directions their sum, a plaid.

    Args:
        direction_deg: 0 right, 90 down.
        wavelength_px: of each grating.
        speed_px: a frame, along its direction.
        n_frames: T.
        size_px: (H, W).
        contrast: Michelson's, in linear light, of the whole.
        mean: linear light.
    """
    directions = np.atleast_1d(np.asarray(direction_deg, dtype=float))
    y, x = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in size_px)
    t = torch.arange(n_frames, dtype=torch.float64)[:, None, None]
    total = torch.zeros(n_frames, *size_px, dtype=torch.float64)
    for angle in np.deg2rad(directions):
        along = y[:, None] * math.sin(angle) + x[None, :] * math.cos(angle)
        total = total + torch.cos(2 * math.pi / wavelength_px * (along - speed_px * t))
    light = mean * (1 + contrast * total / len(directions))
    return linear_to_srgb(light).float()[:, None].expand(-1, 3, -1, -1)


def plaid_velocity(directions_deg: Sequence[float], speed_px: float) -> tuple[float, float]:
    """(y, x) px a frame of the sum of two gratings of one speed: where their lines of constraint meet."""
    a, b = np.deg2rad(directions_deg)
    y, x = np.linalg.solve([[math.sin(a), math.cos(a)], [math.sin(b), math.cos(b)]], [speed_px, speed_px])
    return float(y), float(x)


def noise_frames(
    *,
    velocity_px: tuple[float, float],
    n_frames: int,
    seed: int = 0,
    size_px: tuple[int, int] = (120, 160),
    contrast: float = 0.2,
    mean: float = 0.3,
) -> Tensor:
    """(T, 3, H, W), sRGB: noise with photographs' 1/f amplitude, shifted whole and exactly, (y, x) px a frame.

    It is made of waves up to a quarter of the sampling rate, and leaves at one border what comes in at the other.

    Args:
        contrast: root mean square, in linear light.
    """
    generator = torch.Generator().manual_seed(seed)
    fy = torch.fft.fftfreq(size_px[0], dtype=torch.float64)[:, None]
    fx = torch.fft.fftfreq(size_px[1], dtype=torch.float64)[None, :]
    radius = torch.sqrt(fy**2 + fx**2)
    amplitude = torch.where((radius > 0) & (radius <= 0.25), 1 / radius.clamp_min(1e-9), torch.zeros_like(radius))
    white = torch.randn(size_px, generator=generator, dtype=torch.float64)
    spectrum = torch.fft.fft2(white) * amplitude
    t = torch.arange(n_frames, dtype=torch.float64)[:, None, None]
    shift = torch.exp(-2j * math.pi * t * (fy * velocity_px[0] + fx * velocity_px[1]))
    field = torch.fft.ifft2(spectrum * shift).real
    light = mean * (1 + contrast * field / field[0].std()).clamp_min(0)
    return linear_to_srgb(light).float()[:, None].expand(-1, 3, -1, -1)


def patch_frames(
    *,
    background_px: tuple[float, float],
    patch_px: tuple[float, float],
    n_frames: int,
    seed: int = 0,
    size_px: tuple[int, int] = (120, 160),
    side_px: int = 32,
    centre_px: tuple[float, float] | None = None,
) -> tuple[Tensor, Tensor]:
    """A square of noise that moves before noise that moves otherwise, both alike but for that.

    Args:
        background_px, patch_px: velocities (y, x), px a frame.
        side_px: of the square.
        centre_px: (y, x) of the square in the last frame; the image's middle when None.

    Returns:
        Frames (T, 3, H, W), sRGB, and the square (T, H, W) bool.
    """
    behind = noise_frames(velocity_px=background_px, n_frames=n_frames, seed=seed, size_px=size_px)
    before = noise_frames(velocity_px=patch_px, n_frames=n_frames, seed=seed + 1, size_px=size_px)
    end = centre_px or ((size_px[0] - 1) / 2, (size_px[1] - 1) / 2)
    age = torch.arange(n_frames - 1, -1, -1, dtype=torch.float64)
    inside = []
    for n, to, velocity in zip(size_px, end, patch_px, strict=True):
        centre = to - velocity * age
        inside.append((torch.arange(n, dtype=torch.float64)[None] - centre[:, None]).abs() <= side_px / 2)
    square = inside[0][:, :, None] & inside[1][:, None, :]
    return torch.where(square[:, None], before, behind), square


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

    Raises:
        ValueError: fewer than two frames, no depth, or a pose that is missing or is no 4 x 4 matrix.
    """
    entries = [entry for entry in read_depth([folder]).entries if entry.colour.parent == folder]
    if len(entries) < 2:
        raise ValueError(f"{folder}: expected two frames or more, got {len(entries)}")
    poses = [_read_matrix(folder / f"{entry.name}.pose.txt", 4) for entry in entries]
    read = [entry.read() for entry in entries]
    height, width = read[0].image.shape[-2:]
    given = folder / "camera-intrinsics.txt"
    focal = _FOCAL_PX * width / _AT_WIDTH_PX
    camera = np.diag([focal, focal, 1.0])
    camera[:2, 2] = width / 2, height / 2
    camera = _read_matrix(given, 3) if given.is_file() else camera
    scale = width_px / width
    size = (round(height * scale), width_px)
    frames = F.interpolate(torch.stack([one.image for one in read]), size=size, mode="bilinear", antialias=True)
    flows, known = [], []
    for i in range(len(read) - 1):
        motion = np.linalg.inv(poses[i + 1]) @ poses[i]
        flow, is_known = _flow(read[i].depth_mm, read[i + 1].depth_mm, motion, camera)
        share = F.interpolate(is_known[None, None].float(), size=size, mode="area")
        mean = F.interpolate(torch.where(is_known, flow, torch.zeros_like(flow))[None], size=size, mode="area")
        flows.append((mean / share.clamp_min(1e-6))[0] * scale)
        known.append(share[0, 0] > 0.99)
    return Run(frames.clamp(0, 1), torch.stack(flows), torch.stack(known))


def _flow(depth_mm: Tensor, next_mm: Tensor, motion: np.ndarray, camera: np.ndarray) -> tuple[Tensor, Tensor]:
    """Flow (2, H, W) from depth and motion of the camera, and where it is known."""
    height, width = depth_mm.shape
    y, x = np.mgrid[:height, :width].astype(float)
    z = depth_mm.double().numpy() / 1000
    rays = np.linalg.inv(camera) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    points = motion[:3, :3] @ (rays * z.ravel()) + motion[:3, 3:]
    seen = camera @ points
    there_z = np.maximum(seen[2], 1e-6)
    there_x, there_y = (seen[0] / there_z).reshape(z.shape), (seen[1] / there_z).reshape(z.shape)
    row, column = np.rint(there_y).astype(int), np.rint(there_x).astype(int)
    is_inside = (row >= 0) & (row < height) & (column >= 0) & (column < width) & (z > 0)
    found = next_mm.numpy()[row.clip(0, height - 1), column.clip(0, width - 1)] / 1000
    there_z = there_z.reshape(z.shape)
    is_known = is_inside & (np.abs(found - there_z) < _SAME_DEPTH * there_z)
    return torch.from_numpy(np.stack([there_y - y, there_x - x])).float(), torch.from_numpy(is_known)


def _read_matrix(path: Path, n: int) -> np.ndarray:
    try:
        matrix = np.loadtxt(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: expected a {n} x {n} matrix as text ({error})") from error
    if matrix.shape != (n, n) or not np.isfinite(matrix).all():
        raise ValueError(f"{path}: expected a {n} x {n} matrix of numbers, got shape {matrix.shape}")
    return matrix
