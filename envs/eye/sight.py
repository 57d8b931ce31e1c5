"""What eyes see of their scenes: a sharp window at the gaze, coarser optics around it, photons, a glance.

One row is one eye at one scene. Only the window is imaged at the scene's resolution, cut with the margin that the
widest disc needs; the rest of a glance is sampled too sparsely to tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.eye.chromatic import channel_shift_dpt
from ciliary.cortex.eye.disc import px_per_rad
from ciliary.cortex.eye.fovea import Glance, take_glance
from ciliary.cortex.eye.layers import Layers, split_layers
from ciliary.cortex.eye.optics import OpticsSettings, largest_radius_px, retinal_image
from ciliary.cortex.eye.parameters import FOCUS_DPT
from ciliary.cortex.eye.pupil import expected_photons, seen_light, trolands
from ciliary.cortex.eye.rods import MESOPIC_CD_M2, dim_light, without_colour
from ciliary.cortex.ops.guided import luminance
from ciliary.envs.data.active.scene import EyeScene, stack_layers
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.frames import Eyes as Eyes
from ciliary.envs.eye.frames import FrameSight, GroundFrames

_FLAT_DPT = 1e-3  # a window that spans less is one layer
_LEAST_STEP_DPT = 1e-3
_OWN_SIDE_DPT = 0.02  # what lies so much behind (or before) the gaze's own distance gets a layer of its own


@dataclass(frozen=True, eq=False)
class Sighting:
    """What one look gives.

    Attributes:
        glance: samples in the scene's unit, with the photons' noise.
        window: (B, 3, window_px, window_px) light about the gaze, likewise.
        offset_px: (B, 2) of the gaze from the window's centre.
        photons: (B,) that a pixel of the window catches of light 1.
        unit_td: (B,) trolands of light 1.
        object_dpt: (B,) nearness of what is at the gaze: hidden truth, for evaluators; nan where nobody knows it.
        is_inside: (B, 2, window_px) bool, rows and columns of the window that the scene has; None where it has all.
    """

    glance: Glance
    window: Tensor
    offset_px: Tensor
    photons: Tensor
    unit_td: Tensor
    object_dpt: Tensor
    is_inside: Tensor | None


class Ground:
    """One scene made ready: its coarse layers cost more than a look and are kept."""

    def __init__(self, scene: EyeScene, config: EyeConfig) -> None:
        self.scene = scene
        self.light, self.distance_dpt = (x.to(config.lies_on) for x in (scene.light, scene.distance_dpt))
        self.white_cd_m2 = scene.white_cd_m2 if config.white_cd_m2 is None else config.white_cd_m2
        k = config.coarse
        below, right = (-scene.size_px[0]) % k, (-scene.size_px[1]) % k
        light = F.avg_pool2d(F.pad(self.light[None], (0, right, 0, below), mode="replicate"), k)
        distance = F.pad(self.distance_dpt[None], (0, right, 0, below), mode="replicate")[..., k // 2 :: k, k // 2 :: k]
        self.frames = None if scene.frames is None else GroundFrames.of(scene.frames, k, config.lies_on)
        is_flat = float(distance.max() - distance.min()) < _FLAT_DPT
        sigma_px = max(8.0 / k, 1.0)
        self.coarse = split_layers(
            light, distance, n_layers=1 if is_flat else config.n_layers, hidden_sigma_px=sigma_px
        )
        # The centre of the padded image against the scene's.
        padded = torch.tensor([below, right], dtype=torch.float64, device=config.lies_on)
        self.shift_deg = padded / 2 / scene.px_per_deg


class Sight:
    """The retina of B eyes.

    Args:
        config: of the environment.
    """

    def __init__(self, config: EyeConfig) -> None:
        self.config = config
        self._grounds: tuple[Ground, ...] = ()
        self._window: tuple[tuple[object, ...], list[tuple[Tensor, Layers]]] | None = None
        self._frames: FrameSight | None = None

    def place(self, grounds: Sequence[Ground]) -> None:
        """Put B eyes before B scenes of one size.

        Raises:
            ValueError: sizes or pixels a degree that differ.
        """
        kinds = sorted({(*ground.scene.size_px, ground.scene.px_per_deg) for ground in grounds})
        if len(kinds) != 1:
            raise ValueError(
                f"expected scenes of one size and px_per_deg, got (H, W, px_per_deg) {kinds}; give "
                "size_px and scenes of one field"
            )
        framed = [ground.frames for ground in grounds if ground.frames is not None]
        if framed and len(framed) < len(grounds):
            raise ValueError("expected scenes that all are stacks of frames, or none, in one batch of eyes")
        self._frames = FrameSight(framed) if framed else None
        self._grounds, self._window = tuple(grounds), None
        self._light = torch.stack([ground.light for ground in grounds])
        self._distance = torch.stack([ground.distance_dpt for ground in grounds])
        device = self._light.device
        self._white = torch.tensor([ground.white_cd_m2 for ground in grounds], device=device)
        self._shift = torch.stack([ground.shift_deg for ground in grounds])
        adapted = self._white * luminance(self._light).mean((1, 2, 3))
        self._dim = adapted if self.config.rods and bool((adapted < MESOPIC_CD_M2[1]).any()) else None
        by_length: dict[int, list[int]] = {}
        for i, ground in enumerate(grounds):
            by_length.setdefault(len(ground.coarse), []).append(i)
        self._coarse = [
            (torch.tensor(rows, device=device), stack_layers([grounds[i].coarse for i in rows]))
            for rows in by_length.values()
        ]
        self.px_per_deg = float(kinds[0][2])
        self.size_px = (int(kinds[0][0]), int(kinds[0][1]))
        self._size = torch.tensor(self.size_px, dtype=torch.float64, device=device)
        self._half_field = self._size / self.px_per_deg / 2
        self.half_field_deg = self._half_field.cpu()

    @property
    def is_framed(self) -> bool:
        """Whether the scenes are stacks of frames."""
        return self._frames is not None

    def look(self, eyes: Eyes, generators: Sequence[torch.Generator] | None) -> Sighting:
        """Look once; ``generators`` one a row, None for light without noise."""
        side, n = self.config.window_px, len(self._light)
        size = self._size
        place_px = eyes.gaze_deg * self.px_per_deg + (size - 1) / 2
        corner = (place_px - (side - 1) / 2).round().long()
        offset_px = place_px - (corner + (side - 1) / 2)
        white = self._white[:, None, None, None]
        if self._frames is None:
            window = self._sharp(corner, eyes.focus_dpt.float(), eyes.pupil_mm.float())
            around = self._coarsely(eyes.focus_dpt.float(), eyes.pupil_mm.float())
        else:
            eyes = self._frames.choose(eyes)
            window, around = self._frames.window(corner, side), self._frames.coarse()
        pupil = eyes.pupil_mm.float()
        area = 1 / self.px_per_deg**2
        window = seen_light(window * white, pupil, area_deg2=area, generator=generators) / white
        if self._dim is not None:
            window = dim_light(window, self._dim, px_per_deg=self.px_per_deg)
        photons = expected_photons(self._white, pupil, area_deg2=area)
        nearest = torch.minimum(place_px.round().long().clamp_min(0), size.long() - 1)
        object_dpt = self._distance[torch.arange(n, device=size.device), 0, nearest[:, 0], nearest[:, 1]]
        if self._frames is not None:
            object_dpt = torch.full_like(object_dpt, math.nan)
        glance = self._glance(eyes, window, around, offset_px, generators)
        unit_td = trolands(self._white, pupil)
        return Sighting(glance, window, offset_px, photons, unit_td, object_dpt.double(), self._of_scene(corner))

    def _of_scene(self, corner: Tensor) -> Tensor | None:
        """Which rows and columns of windows from corners (B, 2) the scene has, (B, 2, side) bool; None: all."""
        if bool(((corner >= 0) & (corner <= self._size - self.config.window_px)).all()):
            return None  # the same numbers, quicker
        reach = corner[..., None] + torch.arange(self.config.window_px, device=corner.device)
        return (reach >= 0) & (reach < self._size[:, None])

    def periphery(self, eyes: Eyes) -> Glance:
        """What the coarse optics alone give of scenes that are no stacks, without noise: what motion is seen in."""
        around = self._coarsely(eyes.focus_dpt.float(), eyes.pupil_mm.float())
        return self._far(around, eyes)

    def _far(self, around: Tensor, eyes: Eyes) -> Glance:
        scale = self.px_per_deg / self.config.coarse
        return take_glance(around, self.config.lattice, eyes.gaze_deg - self._shift, scale)

    def _sharp(self, corner: Tensor, focus: Tensor, pupil: Tensor) -> Tensor:
        """The windows at the scene's resolution."""
        image = self._image(self._cut(corner), focus, pupil, self.px_per_deg, is_chromatic=True)
        margin, side = self._margin_px(self.px_per_deg), self.config.window_px
        return image[..., margin : margin + side, margin : margin + side]

    def _coarsely(self, focus: Tensor, pupil: Tensor) -> Tensor:
        """Whole scenes, ``coarse`` times coarser."""
        scale = self.px_per_deg / self.config.coarse
        return self._image(self._coarse, focus, pupil, scale, is_chromatic=False)

    def _glance(
        self,
        eyes: Eyes,
        window: Tensor,
        around: Tensor,
        offset_px: Tensor,
        generators: Sequence[torch.Generator] | None,
    ) -> Glance:
        lattice, white = self.config.lattice, self._white[:, None, None, None]
        pupil = eyes.pupil_mm.float()
        far = self._far(around, eyes)
        area = lattice.spacing_deg.float().to(around.device) ** 2
        samples = seen_light(far.samples * white, pupil, area_deg2=area, generator=generators) / white
        if self._dim is not None:
            samples = without_colour(samples, self._dim)
        near = take_glance(window, lattice, offset_px / self.px_per_deg, self.px_per_deg)
        samples = torch.where(near.is_inside, near.samples, samples)
        place = lattice.position_deg.to(around.device)[None] + eyes.gaze_deg[:, None, None]
        is_inside = (place.abs() <= self._half_field + 1e-9).all(-1)[:, None]
        return Glance(samples * is_inside, is_inside, eyes.gaze_deg, lattice)

    def _cut(self, corner: Tensor) -> list[tuple[Tensor, Layers]]:
        """Layers of the windows and their margin, by number of layers, with their rows; kept while no gaze moves."""
        key = (*corner.flatten().tolist(),)
        if self._window is not None and self._window[0] == key:
            return self._window[1]
        margin = self._margin_px(self.px_per_deg)
        reach = torch.arange(-margin, self.config.window_px + margin, device=corner.device)
        y = (corner[:, 0, None] + reach).clamp(0, self.size_px[0] - 1)
        x = (corner[:, 1, None] + reach).clamp(0, self.size_px[1] - 1)
        row = torch.arange(len(corner), device=corner.device)[:, None, None]
        light = self._light[row, :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2).contiguous()
        distance = self._distance[row, 0, y[:, :, None], x[:, None, :]][:, None]
        is_flat = distance.amax((1, 2, 3)) - distance.amin((1, 2, 3)) < _FLAT_DPT
        groups = []
        for flat in (True, False):
            rows = torch.nonzero(is_flat == flat).flatten()
            if len(rows):
                levels = None if flat else _levels_about(distance[rows], self.config.n_layers)
                layers = split_layers(light[rows], distance[rows], n_layers=1, level_dpt=levels)
                groups.append((rows, layers))
        self._window = (key, groups)
        return groups

    def _image(
        self, groups: list[tuple[Tensor, Layers]], focus: Tensor, pupil: Tensor, scale: float, *, is_chromatic: bool
    ) -> Tensor:
        images = []
        diameter_px = max(2.0 * (self._margin_px(scale) - 1), 1.0)
        settings = OpticsSettings(is_chromatic, diameter_px)
        for rows, layers in groups:
            images.append(
                retinal_image(
                    layers,
                    focus_dpt=focus[rows],
                    pupil_mm=pupil[rows],
                    px_per_deg=scale,
                    settings=settings,
                    wraps=is_chromatic,
                )
            )
        order = torch.cat([rows for rows, _ in groups]).argsort()
        return torch.cat(images)[order]

    def _margin_px(self, scale: float) -> int:
        """Radius of the widest disc: of the widest pupil at the greatest defocus of any colour."""
        red, _, blue = channel_shift_dpt()
        most = FOCUS_DPT[1] - FOCUS_DPT[0] + max(abs(red), abs(blue))
        diameter = self.config.widest_mm * 1e-3 * most * float(px_per_rad(scale))
        return largest_radius_px(scale, max(math.ceil(diameter), 1))


def _levels_about(distance_dpt: Tensor, n_layers: int) -> Tensor:
    """Levels (B, n_layers), even on either side of the middle pixel's distance, which is one of them.

    What is looked at then is in one layer and comes into focus where it is, not between two layers.
    """
    if n_layers == 1:
        return distance_dpt[:, 0, distance_dpt.shape[2] // 2, distance_dpt.shape[3] // 2, None]
    low, high = distance_dpt.amin((1, 2, 3)), distance_dpt.amax((1, 2, 3))
    middle = distance_dpt[:, 0, distance_dpt.shape[2] // 2, distance_dpt.shape[3] // 2]
    n = n_layers - 1
    below = ((middle - low) / (high - low).clamp_min(1e-9) * n).round()
    below = torch.where(middle - low > _OWN_SIDE_DPT, below.clamp_min(1), torch.zeros_like(below))
    below = torch.where(high - middle > _OWN_SIDE_DPT, below.clamp_max(n - 1), torch.full_like(below, n))
    below, above = below[:, None], n - below[:, None]
    low = torch.minimum(low[:, None], middle[:, None] - _LEAST_STEP_DPT * below)
    high = torch.maximum(high[:, None], middle[:, None] + _LEAST_STEP_DPT * above)
    k = torch.arange(n_layers, dtype=distance_dpt.dtype, device=distance_dpt.device)
    farther = middle[:, None] - (middle[:, None] - low) * (below - k) / below.clamp_min(1)
    nearer = middle[:, None] + (high - middle[:, None]) * (k - below) / above.clamp_min(1)
    return torch.where(k <= below, farther, nearer)
