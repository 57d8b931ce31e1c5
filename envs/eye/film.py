"""Films before eyes: which frame a look sees, and what an eye sees move meanwhile.

A look lasts a fixation. It begins where the one before ended and ends with the frame that its glance is of; the frames
between are seen too, by the lattice of that glance (:mod:`ciliary.cortex.dorsal.fixation`), without photons' noise:
what tells motion pools over far more light than a sample has. After its last frame a film stands still.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ciliary.cortex.dorsal.fixation import FixationMotion, see_fixation
from ciliary.cortex.eye.fovea import Glance
from ciliary.cortex.eye.pupil import FIXATION_S
from ciliary.cortex.ops.guided import luminance
from ciliary.envs.data.active.scene import SceneFilm
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.sight import Eyes, Ground, Sight

_N_KEPT = 64  # frames made ready


def frames_per_look(config: EyeConfig, frame_ms: float) -> int:
    """Frames of a film that pass in one look."""
    if config.frames_per_look is not None:
        return config.frames_per_look
    return max(round(1000 * FIXATION_S / frame_ms), 1)


@dataclass(frozen=True, eq=False)
class Moved:
    """What B fields were seen to do in a look.

    Attributes:
        motion: at its end; none where a row is no film.
        seconds: (B,) it took.
    """

    motion: FixationMotion
    seconds: Tensor


class Films:
    """Frames of films by the number of the look.

    Args:
        config: of the environment.
    """

    def __init__(self, config: EyeConfig) -> None:
        self._config = config
        self._sight = Sight(config)
        self._kept: OrderedDict[tuple[SceneFilm, int], Ground] = OrderedDict()

    def frame(self, ground: Ground, n_looks: int) -> int:
        """Number of the frame at the end of a look, of which so many went before; 0 for a photograph."""
        film = ground.scene.film
        if film is None:
            return 0
        return min((n_looks + 1) * frames_per_look(self._config, film.frame_ms), film.n_frames - 1)

    def now(self, ground: Ground, n_looks: int) -> Ground:
        """The scene as it is at the end of a look."""
        return self._at(ground, self.frame(ground, n_looks))

    def watch(self, grounds: Sequence[Ground], n_looks: Sequence[int], eyes: Eyes, rows: Sequence[int]) -> Moved | None:
        """What is seen to move until the end of looks of which so many went before, in some rows; None of no film."""
        alike: dict[tuple[int, float], list[int]] = {}
        for i in rows:
            film = grounds[i].scene.film
            if film is not None:
                alike.setdefault((frames_per_look(self._config, film.frame_ms), film.frame_ms), []).append(i)
        seconds = torch.zeros(len(grounds), device=eyes.gaze_deg.device)
        whole: FixationMotion | None = None
        for (n, frame_ms), some in alike.items():
            place = torch.tensor(some, device=seconds.device)
            part = self._fixated([grounds[i] for i in some], [int(n_looks[i]) for i in some], _of(eyes, place), n)
            seen = see_fixation(part, size_px=self._size_px, px_per_deg=self._px_per_deg, frame_ms=frame_ms)
            seconds[place] = n * frame_ms * 1e-3
            if whole is None:
                whole = FixationMotion(*(x.new_zeros(len(grounds), *x.shape[1:]) for x in _tensors(seen)))
            whole = FixationMotion(
                *(x.index_copy(0, place, y) for x, y in zip(_tensors(whole), _tensors(seen), strict=True))
            )
        return None if whole is None else Moved(whole, seconds)

    def _fixated(self, grounds: Sequence[Ground], n_looks: Sequence[int], eyes: Eyes, n: int) -> Glance:
        """Glances (R rows, n + 1 frames as channels) of luminance from the end of the last look to that of this one."""
        moments = []
        for ground, count in zip(grounds, n_looks, strict=True):
            film = ground.scene.film
            assert film is not None
            moments += [self._at(ground, min(count * n + k, film.n_frames - 1)) for k in range(n + 1)]
        self._sight.place(moments)
        each = torch.arange(len(grounds), device=eyes.gaze_deg.device).repeat_interleave(n + 1)
        glance = self._sight.periphery(_of(eyes, each))
        sheet = luminance(glance.samples)[:, 0].unflatten(0, (len(grounds), n + 1))
        return replace(glance, samples=sheet, is_inside=glance.is_inside[:: n + 1], gaze_deg=eyes.gaze_deg)

    @property
    def _size_px(self) -> tuple[int, int]:
        k = self._config.mosaic_coarse
        height, width = (math.ceil(side / k) for side in self._sight.size_px)
        return height, width

    @property
    def _px_per_deg(self) -> float:
        return self._sight.px_per_deg / self._config.mosaic_coarse

    def _at(self, ground: Ground, i: int) -> Ground:
        film = ground.scene.film
        if film is None or i == 0:
            return ground
        if (film, i) not in self._kept:
            self._kept[film, i] = Ground(film.at(i), self._config)
            if len(self._kept) > _N_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end((film, i))
        return self._kept[film, i]


def _of(eyes: Eyes, rows: Tensor) -> Eyes:
    return Eyes(eyes.gaze_deg[rows], eyes.focus_dpt[rows], eyes.pupil_mm[rows])


def _tensors(motion: FixationMotion) -> list[Tensor]:
    return [getattr(motion, field.name) for field in fields(motion)]
