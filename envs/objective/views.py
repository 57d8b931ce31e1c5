"""Seeded views of an image, and the way back: photometric views (same place, other light) and geometric ones.

Frame: normalised image coordinates, x to the right and y down, both in [-1, 1] from border to border, which is what
``torch.nn.functional.affine_grid(..., align_corners=False)`` uses; they hold at any resolution of the same image.
A view samples ``view(q) = flipped_image(A q)``; coming back samples ``field(A^-1 p)`` and then flips. Reusing ``A`` on
the way back would warp twice, see :func:`invert_affine`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.device import has_numbers, to_device

_BLUR_RADIUS_PX = 3  # three sigma of the largest blur a view may have


@dataclass(frozen=True)
class Views:
    """The V views of an episode; photometric ones first. Every tensor is on the CPU, drawn from ``seed`` alone."""

    seed: int
    n_photometric: int
    n_geometric: int
    gain: Tensor  # (V, 3) multiplies each colour channel (exposure times colour cast)
    gamma: Tensor  # (V,) exponent on [0, 1]
    blur_sigma_px: Tensor  # (V,) 0 for none
    noise_sigma: Tensor  # (V,) standard deviation of the added noise, in units of the image's [0, 1]
    is_flipped: Tensor  # (V,) bool, left-right
    rotation_rad: Tensor  # (V,)
    scale_ratio: Tensor  # (V,) > 1 shows more of the image, smaller
    shift: Tensor  # (V, 2) (x, y) in normalised coordinates

    def __len__(self) -> int:
        return self.n_photometric + self.n_geometric


def sample_views(
    seed: int,
    *,
    n_photometric: int = 2,
    n_geometric: int = 2,
    max_rotation_rad: float = math.radians(8.0),
    max_log_scale: float = math.log(1.1),
    max_shift: float = 0.08,
    max_log_gain: float = 0.2,
    max_log_gamma: float = 0.25,
    max_log_cast: float = 0.06,
    max_blur_sigma_px: float = 0.8,
    noise_sigma: float = 0.02,
) -> Views:
    """Draw the views of an episode.

    Geometric views are alternately flipped, starting with the first, so that two of them always include both cases.
    Strengths are mild on purpose: a view is something the same eye could have seen a moment later. Ranges are our own
    choice.

    Args:
        seed: any int; the same seed gives the same views in any process.
        n_photometric: views that change light, colour, sharpness and noise, and leave every pixel in its place.
        n_geometric: views that flip, rotate (up to ``max_rotation_rad``), scale and shift (``max_shift`` in
            normalised coordinates, where the image is 2 wide), and leave light alone.
        max_rotation_rad: largest rotation either way.
        max_log_scale: largest natural logarithm of the scale ratio either way.
        max_shift: largest shift along each axis either way.
        max_log_gain: largest logarithm of the exposure gain either way.
        max_log_gamma: largest logarithm of the exponent either way.
        max_log_cast: largest logarithm of one channel's own gain either way.
        max_blur_sigma_px: largest blur.
        noise_sigma: mean noise; each view draws 0.5 to 1.5 times that.

    Raises:
        ValueError: if a number is negative.
    """
    if n_photometric < 0 or n_geometric < 0:
        raise ValueError(
            f"expected numbers of views >= 0, got {n_photometric=} and {n_geometric=}; the default is 2 and 2"
        )
    rng = torch.Generator().manual_seed(seed)
    n_views = n_photometric + n_geometric

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=rng) * 2 - 1

    lit = (torch.arange(n_views) < n_photometric).float()
    i_geometric = torch.arange(n_views) - n_photometric
    moved = 1 - lit
    log_gain = draw(n_views, 1) * max_log_gain + draw(n_views, 3) * max_log_cast
    return Views(
        seed=seed,
        n_photometric=n_photometric,
        n_geometric=n_geometric,
        gain=torch.exp(lit[:, None] * log_gain),
        gamma=torch.exp(lit * draw(n_views) * max_log_gamma),
        blur_sigma_px=lit * (draw(n_views) + 1) / 2 * max_blur_sigma_px,
        noise_sigma=lit * (1 + 0.5 * draw(n_views)) * noise_sigma,
        is_flipped=(i_geometric >= 0) & (i_geometric % 2 == 0),
        rotation_rad=moved * draw(n_views) * max_rotation_rad,
        scale_ratio=torch.exp(moved * draw(n_views) * max_log_scale),
        shift=moved[:, None] * draw(n_views, 2) * max_shift,
    )


def affine_matrices(views: Views, *, height: int, width: int) -> Tensor:
    """The forward matrices A, (V, 2, 3) in normalised coordinates, of an image of that size.

    The rotation is a rotation in pixels: in normalised coordinates it carries the aspect ratio.
    """
    cos = torch.cos(views.rotation_rad) * views.scale_ratio
    sin = torch.sin(views.rotation_rad) * views.scale_ratio
    rows = [cos, -sin * height / width, views.shift[:, 0], sin * width / height, cos, views.shift[:, 1]]
    return torch.stack(rows, 1).view(-1, 2, 3)


def invert_affine(matrix: Tensor) -> Tensor:
    """The true inverse of affine maps: (..., 2, 3) to (..., 2, 3), ``p = A q + t`` to ``q = A^-1 (p - t)``."""
    inverse = torch.linalg.inv(matrix[..., :2])
    return torch.cat([inverse, -inverse @ matrix[..., 2:]], -1)


@dataclass(frozen=True)
class WayBack:
    """How fields of G geometric views come back to the image's own frame, at one resolution (h, w)."""

    grid: Tensor  # (G, h, w, 2) where each image pixel lies in the view, flip included, normalised coordinates
    is_flipped: Tensor  # (G,) bool
    is_moved: Tensor  # (G,) bool: False where the grid is the identity and nothing needs interpolating
    valid: Tensor  # (G, 1, h, w) 1 where the pixel was inside the view with all its interpolation neighbours, else 0

    def __getitem__(self, index: Any) -> WayBack:
        return WayBack(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def __call__(self, field: Tensor) -> Tensor:
        """Bring back one field per view: (G, C, h, w) seen in the views to (G, C, h, w) in the image's frame.

        Pixels that were outside the view get its border's value: multiply by ``valid`` before use. Differentiable.
        """
        if has_numbers(field) and not bool(self.is_moved.any()):
            return _flip(field, self.is_flipped)
        moved = F.grid_sample(field, self.grid, mode="bilinear", padding_mode="border", align_corners=False)
        if has_numbers(field) and bool(self.is_moved.all()):
            return moved
        return torch.where(self.is_moved[:, None, None, None], moved, _flip(field, self.is_flipped))


def way_back(views: Views, *, size: tuple[int, int], image_size: tuple[int, int] | None = None) -> WayBack:
    """The way back of all V views for fields of ``size`` = (h, w) pixels; on the CPU, as the views are.

    Args:
        views: the views.
        size: (h, w) of the fields to come.
        image_size: (H, W) of the image they describe, when they have been downsampled from it.
    """
    if not len(views):
        nothing = torch.zeros(0, dtype=torch.bool)
        return WayBack(torch.zeros(0, *size, 2), nothing, nothing, torch.zeros(0, 1, *size))
    height, width = size if image_size is None else image_size
    inverse = invert_affine(affine_matrices(views, height=height, width=width))
    grid = F.affine_grid(inverse, [len(views), 1, *size], align_corners=False)
    grid = torch.where(views.is_flipped[:, None, None, None], grid.flip(2), grid)
    # The centre of the outermost pixel is at 1 - 1/n; beyond it bilinear interpolation has only one side left.
    limit = torch.tensor([1 - 1 / size[1], 1 - 1 / size[0]]) + 1e-5
    valid = (grid.abs() <= limit).all(-1)[:, None].float()
    return WayBack(grid, views.is_flipped, _is_moved(views), valid)


def undo(field: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """Bring fields seen in the views back to the image's own frame by the true inverse.

    Args:
        field: (V, C, H, W) or (V, B, C, H, W), one per view.
        views: the views that :func:`apply_views` used.

    Returns:
        The field in the image's frame, same shape, and the valid-pixel mask (V, 1, H, W).

    Raises:
        ValueError: if the leading axis is not the number of views.
    """
    if field.shape[0] != len(views) or field.ndim not in (4, 5):
        raise ValueError(
            f"expected (V, C, H, W) or (V, B, C, H, W) with V = {len(views)}, got {tuple(field.shape)}; "
            "pass one field per view, in the order apply_views returned them"
        )
    back = to_device(way_back(views, size=(field.shape[-2], field.shape[-1])), field.device)
    # Images of a batch share their view's grid: they travel as channels.
    return back(field.flatten(1, -3)).view_as(field), back.valid


def apply_views(image: Tensor, views: Views) -> Tensor:
    """All views of a batch of images.

    Outside the image a geometric view shows its mirrored continuation, so that no false edge appears.

    Args:
        image: (B, 3, H, W) in [0, 1], at least 8 px on each side.
        views: V views; each view's noise is the same for every image of the batch.

    Returns:
        (V, B, 3, H, W) in [0, 1].

    Raises:
        ValueError: if the image is not (B, 3, H, W) or too small.
    """
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[-2:]) < 8:
        raise ValueError(f"expected image (B, 3, H, W) of at least 8 px a side, got {tuple(image.shape)}")
    n_images, _, height, width = image.shape
    if not len(views):
        return image.new_zeros(0, *image.shape)
    # All is drawn on the CPU: a seed means the same views on every device.
    rng = torch.Generator().manual_seed(views.seed + 1)  # another stream than the parameters'
    noise = torch.randn((len(views), 1, 3, height, width), generator=rng).to(image.device)
    matrices = affine_matrices(views, height=height, width=width).to(image.device)
    views = to_device(views, image.device)
    stack = _blur(image, views.blur_sigma_px.to(image.dtype))
    lit = (stack * views.gain[:, None, :, None, None]).clamp(0, 1)
    lit = lit ** views.gamma[:, None, None, None, None]
    lit = (lit + views.noise_sigma[:, None, None, None, None] * noise).clamp(0, 1)
    grid = F.affine_grid(matrices, [len(views), 1, height, width], align_corners=False)
    flat = _flip(lit.flatten(1, 2), views.is_flipped)
    moved = F.grid_sample(flat, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    seen = torch.where(_is_moved(views)[:, None, None, None], moved, flat)  # no interpolation where nothing moves
    return seen.view(len(views), n_images, 3, height, width)


def _is_moved(views: Views) -> Tensor:
    return (views.rotation_rad != 0) | (views.scale_ratio != 1) | (views.shift != 0).any(-1)


def _flip(field: Tensor, is_flipped: Tensor) -> Tensor:
    """Left-right flip of the marked rows: exact, no interpolation."""
    if has_numbers(is_flipped) and not bool(is_flipped.any()):
        return field
    return torch.where(is_flipped[:, None, None, None], field.flip(-1), field)


def _blur(image: Tensor, sigma_px: Tensor) -> Tensor:
    """Gaussian blur by each sigma: (B, 3, H, W) and (V,) to (V, B, 3, H, W). Sigma 0 changes nothing."""
    offset = torch.arange(-_BLUR_RADIUS_PX, _BLUR_RADIUS_PX + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (offset / sigma_px.clamp_min(1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    n_views, n_planes = len(sigma_px), image.shape[0] * 3
    planes = image.reshape(1, n_planes, *image.shape[-2:]).transpose(0, 1)
    planes = F.pad(planes, (0, 0, _BLUR_RADIUS_PX, _BLUR_RADIUS_PX), mode="reflect")
    planes = F.conv2d(planes, kernel.view(n_views, 1, -1, 1))  # (planes, V, H, W)
    planes = F.pad(planes, (_BLUR_RADIUS_PX, _BLUR_RADIUS_PX, 0, 0), mode="reflect")
    planes = F.conv2d(planes, kernel.view(n_views, 1, 1, -1), groups=n_views)
    return planes.transpose(0, 1).reshape(n_views, *image.shape)
