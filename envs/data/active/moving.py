"""Photographs that a camera moves over, so that it is known where everything goes: turns, zooms and shifts.

Nothing hides anything here, and light does not change but for a little: easier than a room, and as many as one likes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class CameraPath:
    """How a camera moves over a photograph. A frame is a window of it, ``share`` of its shorter sides.

    Attributes:
        n_frames: of a clip.
        size_px: (H, W) of the frames.
        share: of the photograph that a frame shows at first, in (0, 1).
        speed_px: pixels of the frame that the window moves in a frame, at most.
        turn_rad: it turns in a frame, at most.
        zoom: factor a frame, at most.
        light_sd: of a factor on each frame's brightness.
        noise_sd: of each pixel.
    """

    n_frames: int = 16
    size_px: tuple[int, int] = (144, 192)
    share: float = 0.6
    speed_px: float = 3.0
    turn_rad: float = 0.01
    zoom: float = 1.01
    light_sd: float = 0.02
    noise_sd: float = 0.01

    def __post_init__(self) -> None:
        if self.n_frames < 2 or min(self.size_px) < 1 or not 0 < self.share < 1 or not self.zoom >= 1:
            raise ValueError(f"expected n_frames >= 2, sides >= 1, share in (0, 1) and zoom >= 1, got {self}")


@dataclass(frozen=True, eq=False)
class MovedClip:
    """A photograph in motion.

    Attributes:
        name: of the photograph.
        images: (T, 3, H, W) sRGB in [0, 1].
        to_photograph: (T, 2, 3) float64: pixel (y, x, 1) of a frame to where it is taken from, from the photograph's
            middle, in pixels of the first frame.
        half_px: (y, x) from the photograph's middle to its edges, in the same unit.
    """

    name: str
    images: Tensor
    to_photograph: Tensor
    half_px: tuple[float, float]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Counted from 1."""
        return tuple(f"frame {i}" for i in range(1, len(self.images) + 1))

    def flow(self, one: int, other: int) -> tuple[Tensor, Tensor]:
        """How far each pixel moved, (1, 2, H, W), y and x, and whether it can be seen in both frames, (1, 1, H, W)."""
        height, width = self.images.shape[-2:]
        grid = _grid(height, width)
        place = grid @ self.to_photograph[one].T
        back = _inverse(self.to_photograph[other])
        there = torch.cat([place, torch.ones_like(place[..., :1])], -1) @ back.T
        flow = (there - grid[..., :2]).movedim(-1, 0)[None].float()
        last = grid.new_tensor([height - 1, width - 1])
        is_seen = ((there >= 0) & (there <= last)).all(-1)
        return flow, is_seen[None, None]

    def given_flow(self, one: int, other: int) -> Tensor:
        """(1, 2, H, W): the true one."""
        return self.flow(one, other)[0]


def move_over(image: Tensor, path: CameraPath, *, name: str = "photograph", seed: int = 0) -> MovedClip:
    """Frames of a camera that moves over a photograph (3, H, W), sRGB in [0, 1], never beyond its edge.

    Speed, turn and zoom are drawn once and change slowly, as a hand's do; at an edge the movement is turned back. The
    same seed, the same clip.
    """
    rng = torch.Generator().manual_seed(seed)
    height, width = path.size_px
    scale = path.share * min(image.shape[-2] / height, image.shape[-1] / width)  # photograph px a frame px
    half = (image.shape[-2] / 2 / scale, image.shape[-1] / 2 / scale)
    radius = math.hypot(height, width) / 2
    heading = 2 * math.pi * float(torch.rand((), generator=rng))
    velocity = path.speed_px * torch.tensor([math.sin(heading), math.cos(heading)], dtype=torch.float64)
    turn, zoom = ((2 * torch.rand(2, generator=rng) - 1) * torch.tensor([path.turn_rad, math.log(path.zoom)])).tolist()
    middle, angle, log_zoom = torch.zeros(2, dtype=torch.float64), 0.0, 0.0
    rows, frames = [], []
    for _ in range(path.n_frames):
        size = math.exp(log_zoom)
        c, s = size * math.cos(angle), size * math.sin(angle)
        linear = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
        start = middle - linear @ torch.tensor([(height - 1) / 2, (width - 1) / 2], dtype=torch.float64)
        rows.append(torch.cat([linear, start[:, None]], 1))
        frames.append(_taken(image, rows[-1], half, path.size_px))
        room = torch.tensor([max(side - size * radius, 0.0) for side in half], dtype=torch.float64)
        velocity = velocity + 0.2 * path.speed_px * torch.randn(2, generator=rng, dtype=torch.float64)
        velocity = velocity * min(1.0, path.speed_px / max(float(velocity.norm()), 1e-9))
        velocity = torch.where((middle + velocity).abs() > room, -velocity, velocity)
        middle = (middle + velocity).clamp(-room, room)
        angle, log_zoom = angle + turn, min(log_zoom + zoom, 0.0)
    light = 1 + path.light_sd * torch.randn(path.n_frames, 1, 1, 1, generator=rng)
    images = torch.stack(frames) * light
    images = (images + path.noise_sd * torch.randn(images.shape, generator=rng)).clamp(0, 1)
    return MovedClip(name, images, torch.stack(rows), half)


def _grid(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (height, width)), indexing="ij")
    return torch.stack([y, x, torch.ones_like(y)], -1)


def _inverse(affine: Tensor) -> Tensor:
    linear = torch.linalg.inv(affine[:, :2])
    return torch.cat([linear, -(linear @ affine[:, 2:])], 1)


def _taken(image: Tensor, affine: Tensor, half: Sequence[float], size: tuple[int, int]) -> Tensor:
    """The window of a photograph that a frame shows, twice as fine and averaged: else fine texture would flicker."""
    fine = 2
    grid = _grid(fine * size[0], fine * size[1])
    grid[..., :2] = (grid[..., :2] + 0.5) / fine - 0.5
    place = grid @ affine.T / torch.tensor([half[0], half[1]], dtype=torch.float64)
    taken = F.grid_sample(image[None], place.flip(-1)[None].to(image.dtype), align_corners=False, padding_mode="border")
    return F.avg_pool2d(taken, fine)[0]
