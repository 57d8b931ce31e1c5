"""The population code of V4: which bends, corners and ends lie where on each proto-object, and on the whole figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.ops.association import log_weights
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.percept import M1Out, M2Out, M4Out
from ciliary.cortex.v4.bank import N_CELLS, REACHES_PX, STRIDES, oriented_contour, respond_at_scales
from ciliary.cortex.v4.place import moments, pool, pool_within, raster, rings

#: Places on a proto-object: its centre and 8 directions at two distances (Pasupathy & Connor 2001), in spreads.
N_ANGLES, RADII = 8, (0.8, 1.6)
N_PLACES = 1 + N_ANGLES * len(RADII)
N_CURVES = N_PLACES * N_CELLS  # numbers of a proto-object's code
#: Raster of the whole figure.
RASTER, EXTENT, RASTER_WIDTH = 12, 2.3, 0.25
_RING_WIDTH = 0.4
_REACH_SHARE = 0.45  # length of the rays in spreads of the shape: curvature is read at the shape's own scale
# Of a cell's pooled answer before the root, and of a code's length: what is less is noise of a blank.
_NOISE = 1e-7
_HALF_LENGTH = 0.005
_SAY = 0.5


def add_curves(m4: M4Out, m1: M1Out, m2: M2Out) -> M4Out:
    """M4's answer with ``curves`` (:func:`object_curves`) and ``figure`` (:func:`figure_curves`)."""
    answers = respond_at_scales(oriented_contour(m1, m2))
    curves, figure = object_curves(answers, m4.masks_coarse), figure_curves(answers, halve(m2.contour))
    embedded = replace(m4, curves=curves, figure=figure)
    embedded.__dict__["masks_coarse"] = m4.masks_coarse  # they are drawn: M5 wants them too
    return embedded


def join_curves(code: Tensor, curves: Tensor) -> Tensor:
    """M5's code (..., d) with V4's (..., d') beside it, at half its say: (..., d + d') of length 1.

    Half: of 0.2 to 1, on training photographs of small things alone, what helped naming most evenly; with the same say
    it takes from one example of a photograph more than it gives.
    """
    return F.normalize(torch.cat([code, _SAY * F.normalize(curves, dim=-1)], -1), dim=-1)


def figure_curves(answers: Sequence[Tensor], contour: Tensor) -> Tensor:
    """The cells' answers over the raster of all there is in the image, taken as one figure: (B, P, U), of length 1.

    Thin strokes, of which M4 makes fragments, are one figure. All 0 where there is no contour.

    Args:
        answers: of :func:`~ciliary.cortex.v4.bank.respond_at_scales`.
        contour: (B, 1, h, w) at the resolution of the first of them.
    """
    centre, spread = moments(contour.square())
    cells = raster(RASTER, EXTENT, contour.device)
    seen = [pool(x, *_at(centre, spread, i), cells, RASTER_WIDTH) for i, x in enumerate(answers)]
    coded: Tensor = _coded(_at_own_scale(seen, spread)[:, 0].flatten(1)).unflatten(1, (-1, N_CELLS))
    return coded


def object_curves(answers: Sequence[Tensor], masks: Tensor) -> Tensor:
    """The code (B, S, N_CURVES) of each proto-object's own contours, of length 1; 0 where it has none.

    Args:
        answers: of :func:`~ciliary.cortex.v4.bank.respond_at_scales`.
        masks: (B, S, h, w) at the resolution of the first of them, or a row and a column smaller.
    """
    h, w = answers[0].shape[-2:]
    centre, spread = moments(masks)
    masks = F.pad(masks, (0, w - masks.shape[-1], 0, h - masks.shape[-2]))
    cells = rings(N_ANGLES, RADII, masks.device)
    # Receptive fields are coarse: half the first resolution is enough to pool at.
    quarter = halve(masks)
    maps = zip((quarter, quarter, halve(quarter)), (halve(answers[0]), *answers[1:]), strict=True)
    seen = []
    for i, (own, one) in enumerate(maps):
        # A contour belongs to both its sides: the mask's outermost cells are its neighbours'.
        near = F.max_pool2d(own, 3, stride=1, padding=1)
        seen.append(pool_within(near, one, *_at(centre, spread, max(i, 1)), cells, _RING_WIDTH))
    return _coded(_at_own_scale(seen, spread).flatten(2))


def _at(centre: Tensor, spread: Tensor, n_halved: int) -> tuple[Tensor, Tensor]:
    """A frame after a map was halved so often."""
    step = 2**n_halved
    return (centre - (step - 1) / 2) / step, spread / step


def _at_own_scale(seen: Sequence[Tensor], spread: Tensor) -> Tensor:
    """Answers (B, S, K, U) of each scale to those of rays as long as the shape's spread (B, S, 2) asks for."""
    reach = (_REACH_SHARE * STRIDES[0] * spread.prod(-1).sqrt()).clamp(REACHES_PX[0], REACHES_PX[-1])
    mixed: Tensor = (torch.stack(tuple(seen), -1) * log_weights(reach, REACHES_PX)[:, :, None, None]).sum(-1)
    return mixed


def _coded(pooled: Tensor) -> Tensor:
    """Geometric mean of the three that a cell joins, then divisive normalisation (Heeger 1992) over the last axis."""
    root: Tensor = (pooled + _NOISE) ** (1 / 3) - _NOISE ** (1 / 3)
    return root / torch.sqrt(root.square().sum(-1, keepdim=True) + _HALF_LENGTH**2)
