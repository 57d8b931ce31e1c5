"""Photographs set up in depth, or in uneven light: there are many photographs and few with either.

Where things stand, and where light falls, is drawn by the photograph's name alone: known, and the same for all.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.envs.data.active.radiance import about_middle_grey
from ciliary.envs.data.active.scene import WHITE_CD_M2, EyeScene, photograph_scene
from ciliary.envs.data.reading import Photograph

#: Nearness of the planes and slants, in dioptres.
RANGE_DPT = (0.3, 8.0)
_KINDS = ("plane", "strips", "slant")
_SHARES = (0.3, 0.45, 0.25)
#: Standard deviation of uneven light, and its knots over the picture, (rows, columns).
UNEVEN_OCTAVES = (1.0, 3.0)
_KNOTS = (6, 8)
_N_STRIPS = 3  # odd: the eye begins at a strip's middle, not at an edge


def photograph_in_depth(
    photograph: Photograph, *, width_deg: float = WIDTH_DEG, white_cd_m2: float = WHITE_CD_M2
) -> EyeScene:
    """A photograph as a scene whose depth is drawn by its name: one plane, three upright strips, or a slant.

    Planes and strips stand at :data:`RANGE_DPT`, uniformly in dioptres; a slant is a floor, farther at the top, or a
    ceiling, farther at the bottom, linear in dioptres. Where one looks, the best focus is ``distance_dpt`` there.

    Raises:
        ValueError: a width <= 0.
    """
    scene = photograph_scene(photograph, width_deg=width_deg, white_cd_m2=white_cd_m2)
    rng = np.random.default_rng(zlib.crc32(photograph.name.encode()))
    kind = str(rng.choice(_KINDS, p=_SHARES))
    height, width = scene.size_px
    distance = _drawn(rng, kind, height, width).expand(1, height, width).contiguous()
    return replace(scene, distance_dpt=distance, n_layers=1 if kind == "plane" else 24)


def photograph_in_uneven_light(
    photograph: Photograph, *, width_deg: float = WIDTH_DEG, white_cd_m2: float = WHITE_CD_M2
) -> EyeScene:
    """A photograph, flat and far, lit as a room with lamps and windows is: its light spans many decades.

    The light falls as a smooth field, normal in octaves, whose standard deviation is drawn from
    :data:`UNEVEN_OCTAVES`. As of radiance pictures (:func:`ciliary.envs.data.active.radiance.hdr_scene`), the geometric
    mean of the luminance is middle grey.
    """
    scene = photograph_scene(photograph, width_deg=width_deg, white_cd_m2=white_cd_m2)
    rng = np.random.default_rng(zlib.crc32(photograph.name.encode()))
    octaves = float(rng.uniform(*UNEVEN_OCTAVES))
    knots = torch.from_numpy(rng.normal(size=(1, 1, *_KNOTS))).float()
    field = F.interpolate(knots, size=scene.size_px, mode="bicubic", align_corners=True)[0]
    light = scene.light * 2 ** (octaves * field / field.std())
    return replace(scene, light=about_middle_grey(light))


def _drawn(rng: np.random.Generator, kind: str, height: int, width: int) -> Tensor:
    """Nearness, (1, H or 1, W or 1) float32."""
    if kind == "slant":
        ends = torch.tensor(rng.uniform(*RANGE_DPT, 2), dtype=torch.float32)
        row = (torch.arange(height) + 0.5) / height
        return (ends[0] + (ends[1] - ends[0]) * row)[None, :, None]
    planes = torch.tensor(rng.uniform(*RANGE_DPT, _N_STRIPS if kind == "strips" else 1), dtype=torch.float32)
    return planes[(torch.arange(width) * len(planes)).div(width, rounding_mode="floor")][None, None]
