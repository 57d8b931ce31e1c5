"""What M5 is told of a proto-object: colour, texture, place, shape and strokes; one fixed vector, whatever the setting.

Nothing in it depends on the size of the image, and nothing but ``place`` on where the object lies or how large it is:
shape and strokes are read in the object's own frame, two standard deviations to each side of its centre.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.percept import N_ORIENTATIONS, M1Out, M4Out, RetinaOut
from ciliary.cortex.stages.m1_perception import N_SCALES

SHAPE_CELLS = 6  # the mask in its frame, 6 x 6
STROKE_CELLS = 4  # oriented energy in the frame, 4 x 4 per orientation
_FRAME_SIGMAS = 2.0

#: Parts of the description and where they stand in it.
PARTS: dict[str, slice] = {}
for _name, _size in (
    ("colour", 6),
    ("texture", N_SCALES * N_ORIENTATIONS),
    ("place", 5),
    ("shape", SHAPE_CELLS**2),
    ("strokes", N_ORIENTATIONS * STROKE_CELLS**2),
):
    _start = max((s.stop for s in PARTS.values()), default=0)
    PARTS[_name] = slice(_start, _start + _size)
N_DESCRIPTION: int = PARTS["strokes"].stop


def describe_objects(retina: RetinaOut, m1: M1Out, m4: M4Out) -> Tensor:
    """The description (B, S, d) of each proto-object, in the order of :data:`PARTS`.

    ``colour``: mean and standard deviation of the opponent channels in the mask. ``texture``: root energy of each V1
    channel, relative to their common mean, so that contrast does not matter. ``place``: log share of the area, centre
    (y, x) from the middle and standard deviations (y, x), in long sides. ``shape``: the mask in its frame. ``strokes``:
    oriented energy in the frame, within the mask, relative to its mean.
    """
    masks = m4.masks_coarse
    h, w = masks.shape[-2:]
    weight = masks.flatten(2)
    size = weight.sum(2).clamp_min(1e-3)
    norm = size[..., None]

    def pooled(field: Tensor) -> Tensor:
        return weight @ _to(field, h, w).flatten(2).transpose(1, 2) / norm

    mean = pooled(retina.opponent)
    variance = (pooled(retina.opponent.square()) - mean.square()).clamp_min(0)
    root_energy = torch.sqrt(m1.energy + 1e-6)
    texture = pooled(root_energy)
    texture = texture / texture.mean(2, keepdim=True).clamp_min(1e-3)

    long_side = float(max(h, w))
    y = ((torch.arange(h, device=masks.device) - (h - 1) / 2) / long_side)[:, None].expand(h, w)
    x = ((torch.arange(w, device=masks.device) - (w - 1) / 2) / long_side)[None].expand(h, w)
    axes = torch.stack([y, x]).flatten(1).T
    centre = weight @ axes / norm
    spread = torch.sqrt((weight @ axes.square() / norm - centre.square()).clamp_min((0.5 / long_side) ** 2))
    place = torch.cat([torch.log(size / (h * w) + 1e-4)[..., None], centre, spread], 2)

    shape = _in_frame(masks, centre, spread, long_side, SHAPE_CELLS)
    oriented = _to(root_energy.unflatten(1, (N_SCALES, N_ORIENTATIONS)).mean(1), h, w)
    strokes = _at_points(halve(oriented), centre, spread, long_side, STROKE_CELLS, (h, w))  # (B, S, O, cells)
    strokes = strokes * _in_frame(masks, centre, spread, long_side, STROKE_CELLS)[:, :, None]
    strokes = strokes.flatten(2)
    strokes = strokes / strokes.mean(2, keepdim=True).clamp_min(1e-3)
    return torch.cat([mean, torch.sqrt(variance + 1e-8), texture, place, shape, strokes], 2)


def _to(field: Tensor, h: int, w: int) -> Tensor:
    """A full-resolution field at the masks' half resolution."""
    return halve(field)[..., :h, :w]


def _points(centre: Tensor, spread: Tensor, long_side: float, n_cells: int, size: tuple[int, int]) -> Tensor:
    """Sampling grid (B, S, cells, 2) of the cells' middles, in ``grid_sample``'s coordinates (x, y)."""
    step = (torch.arange(n_cells, device=centre.device) + 0.5) / n_cells * 2 - 1
    offset = torch.cartesian_prod(step, step) * _FRAME_SIGMAS
    place = centre[:, :, None] + spread[:, :, None] * offset
    return (place * (2 * long_side / place.new_tensor(size))).flip(-1)


def _in_frame(masks: Tensor, centre: Tensor, spread: Tensor, long_side: float, n_cells: int) -> Tensor:
    """Each mask at the cells of its own frame, (B, S, cells); 0 outside of the image."""
    grid = _points(centre, spread, long_side, n_cells, (masks.shape[-2], masks.shape[-1])).flatten(0, 1)[:, None]
    own = F.grid_sample(masks.flatten(0, 1)[:, None], grid, align_corners=False)
    framed: Tensor = own.flatten(1).unflatten(0, masks.shape[:2])
    return framed


def _at_points(
    field: Tensor, centre: Tensor, spread: Tensor, long_side: float, n_cells: int, size: tuple[int, int]
) -> Tensor:
    """A field (B, C, h, w) at the cells of each object's frame, (B, S, C, cells)."""
    grid = _points(centre, spread, long_side, n_cells, size)
    return F.grid_sample(field, grid, align_corners=False).transpose(1, 2)
