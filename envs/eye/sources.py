"""Where an eye's scenes come from: made up, photographs, folders with depth, or given."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ciliary.envs.data.active.pictures import photograph_in_depth
from ciliary.envs.data.active.scene import EyeScene, depth_scene, photograph_scene
from ciliary.envs.data.active.sequences import drawn_patch_film, film_folders, mapped, read_film
from ciliary.envs.data.active.stacks import FOCUS_FILE, read_focus_stack
from ciliary.envs.data.active.synthetic import dots_scene, planes_scene, slant_scene
from ciliary.envs.data.depth import DepthEntry, read_depth
from ciliary.envs.data.sources import Source, bundled, bundled_files, folder
from ciliary.envs.eye.config import KINDS as KINDS
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.film import frames_per_look
from ciliary.envs.eye.sight import Ground

_N_KEPT = 32
_RANGE_DPT = (0.3, 8.0)  # of distances that are drawn


class SceneSource:
    """Scenes by name, by number, or drawn; those of files are read when they are needed, and some are kept.

    Args:
        config: of the environment.

    Raises:
        ValueError: nothing to look at, or a name that is no kind, file or folder.
    """

    def __init__(self, config: EyeConfig) -> None:
        self._config = config
        self._kept: OrderedDict[str, Ground] = OrderedDict()
        self._given: tuple[EyeScene, Ground] | None = None  # the latest scene that was given as an object
        self._makers: dict[str, Callable[[], EyeScene]] = {}
        self._is_synthetic = config.scenes in ("synthetic", "mixed", "moving")
        scenes = config.scenes
        if isinstance(scenes, EyeScene):
            scenes = [scenes]
        if isinstance(scenes, (str, Path)):
            self._from_files(scenes)
        else:
            self._makers = {f"{i}:{one.name}": partial(_given, one) for i, one in enumerate(scenes)}
        if not self._makers and not self._is_synthetic:
            raise ValueError("expected at least one scene, got none")

    def _from_files(self, where: str | Path) -> None:
        config = self._config
        if where in ("photographs", "mixed"):
            found = bundled(None, covering(config.size_px))
            self._makers = _of_photographs(found, config)
        elif where not in KINDS:
            path = Path(where)
            if not path.exists():
                raise ValueError(f"expected scenes of {', '.join(KINDS)}, a folder, or scenes, got {str(where)!r}")
            if config.film:
                self._makers = {one.resolve().name: partial(_read_film, one, config) for one in film_folders(path)}
                return
            self._from_folder(path)

    def _from_folder(self, path: Path) -> None:
        config = self._config
        if (path / FOCUS_FILE).is_file():
            stack = read_focus_stack(path, width_deg=config.width_deg)
            self._makers = {stack.name: partial(_in_field, stack.as_scene(), config)}
            return
        try:
            depth = read_depth([path])
        except ValueError:
            self._makers = _of_photographs(folder(path, None), config)
            return
        self._makers = {
            f"{entry.scene}/{entry.name}": partial(_read_depth_scene, entry, config) for entry in depth.entries
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Of the scenes that have one; synthetic ones are drawn by seed."""
        return tuple(self._makers)

    def draw(self, rng: np.random.Generator, wanted: object = None) -> Ground:
        """A scene made ready.

        Args:
            rng: of the episode.
            wanted: a scene, a name, the number of a scene, or None to draw one.

        Raises:
            ValueError: no such scene.
        """
        kind, number, seed = rng.random(), rng.random(), int(rng.integers(2**31))
        if isinstance(wanted, EyeScene):
            if self._given is None or self._given[0] is not wanted:
                self._given = wanted, self._ready(wanted)
            return self._given[1]
        names = self.names
        if wanted is None:
            if self._is_synthetic and (not names or kind < 0.5):
                make = moving_scene if self._config.scenes == "moving" else synthetic_scene
                return self._ready(make(seed, self._config))
            return self._named(names[int(number * len(names))])
        if isinstance(wanted, (int, np.integer)) and 0 <= wanted < len(names):
            return self._named(names[int(wanted)])
        known = [name for name in names if wanted in (name, name.split(":", 1)[-1])]
        if not known:
            listed = ", ".join(names) or "none has a name: they are drawn by seed"
            raise ValueError(f"expected scene to be an EyeScene or one of {listed}; got {wanted!r}")
        return self._named(known[0])

    def _named(self, name: str) -> Ground:
        if name not in self._kept:
            self._kept[name] = self._ready(self._makers[name]())
            if len(self._kept) > _N_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]

    def _ready(self, scene: EyeScene) -> Ground:
        size_px = self._config.size_px
        return Ground(scene if size_px is None else mapped(scene, partial(fitted, size_px=size_px)), self._config)


def covering(size_px: tuple[int, int] | None) -> list[str]:
    """Names of the bundled photographs that cover a size (height, width)."""
    height, width = size_px or (1, 1)
    names = []
    for name, path in bundled_files().items():
        with Image.open(path) as picture:
            if picture.height >= height and picture.width >= width:
                names.append(name)
    return names


def _given(scene: EyeScene) -> EyeScene:
    return scene


def _of_photographs(source: Source, config: EyeConfig) -> dict[str, Callable[[], EyeScene]]:
    return {name: partial(scene_of_photograph, source, i, config) for i, name in enumerate(source.names)}


def scene_of_photograph(source: Source, i: int, config: EyeConfig) -> EyeScene:
    """Photograph ``i`` as the environment shows it: flat and far, or in depth; fitted to its size."""
    scene = photograph_in_depth if config.in_depth else photograph_scene
    return _in_field(scene(source[i], width_deg=config.width_deg), config)


def _read_depth_scene(entry: DepthEntry, config: EyeConfig) -> EyeScene:
    return _in_field(depth_scene(entry.read(), nearness=config.nearness), config)


def _read_film(path: Path, config: EyeConfig) -> EyeScene:
    film = read_film(path, frame_ms=config.frame_ms, width_deg=config.width_deg, nearness=config.nearness)
    return mapped(film, partial(_in_field, config=config))


def moving_scene(seed: int, config: EyeConfig, *, is_panning: bool | None = None) -> EyeScene:
    """A patch before a ground, for as long as an episode's looks (``horizon``), drawn by seed.

    See :func:`ciliary.envs.data.active.sequences.drawn_patch_film`.
    """
    size_px = config.size_px or (240, 320)
    n_frames = (config.horizon + 1) * frames_per_look(config, config.frame_ms) + 1
    return drawn_patch_film(
        seed,
        n_frames=n_frames,
        size_px=size_px,
        px_per_deg=size_px[1] / config.width_deg,
        frame_ms=config.frame_ms,
        is_panning=is_panning,
    )


def _in_field(scene: EyeScene, config: EyeConfig) -> EyeScene:
    """Fitted, and ``width_deg`` wide then: whatever was cropped, fields are alike."""
    if config.size_px is None:
        return scene
    return replace(fitted(scene, config.size_px), px_per_deg=config.size_px[1] / config.width_deg)


def synthetic_scene(seed: int, config: EyeConfig) -> EyeScene:
    """One to four planes, a slant or points of light, at distances of .3 to 8 dpt drawn by seed."""
    rng = np.random.default_rng(seed)
    size_px = config.size_px or (240, 320)
    scale = size_px[1] / config.width_deg
    kind = rng.choice(["planes", "slant", "dots"], p=[0.7, 0.2, 0.1])
    if kind == "slant":
        low, high = np.sort(rng.uniform(*_RANGE_DPT, 2))
        return slant_scene(float(low), float(high) + 0.1, seed=seed, size_px=size_px, px_per_deg=scale)
    # An odd number of strips: the eye begins at a strip's middle, not at an edge.
    distances = [float(value) for value in rng.uniform(*_RANGE_DPT, int(rng.choice([1, 3])))]
    if kind == "planes":
        return planes_scene(distances, seed=seed, size_px=size_px, px_per_deg=scale)
    gap_px = math.ceil(size_px[1] / len(distances))
    dots = dots_scene(distances, gap_px=gap_px, px_per_deg=scale)
    return fitted(_tall(dots, size_px[0]), size_px)


def _tall(scene: EyeScene, height: int) -> EyeScene:
    """The same with rows as those at its borders above and below: at least ``height``."""
    missing = max(height - scene.size_px[0], 0)
    pad = (0, 0, missing // 2, missing - missing // 2)
    light = F.pad(scene.light[None], pad, mode="constant")[0]
    return replace(scene, light=light, distance_dpt=F.pad(scene.distance_dpt[None], pad, mode="replicate")[0])


def fitted(scene: EyeScene, size_px: tuple[int, int]) -> EyeScene:
    """The scene at a size (height, width): shrunk until it just covers it, then cropped about its centre.

    Light by the mean of its area, distance by its nearest pixel. Pixels a degree follow, so that two scenes of one
    field and aspect come out alike.

    Raises:
        ValueError: it is smaller than that.
    """
    height, width = size_px
    if scene.size_px == (height, width):
        return scene
    factor = max(height / scene.size_px[0], width / scene.size_px[1])
    if factor > 1:
        raise ValueError(
            f"{scene.name}: {scene.size_px[0]}x{scene.size_px[1]} px do not cover {height}x{width}; scenes are never "
            "enlarged: choose a smaller size_px, or None"
        )
    size = [max(round(side * factor), least) for side, least in zip(scene.size_px, size_px, strict=True)]
    light = _shrunk(scene.light[None], size)[0]
    distance = F.interpolate(scene.distance_dpt[None], size=size, mode="nearest-exact")[0]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    window = (slice(None), slice(top, top + height), slice(left, left + width))
    frames = scene.frames
    if frames is not None:
        frames = replace(frames, light=_shrunk(frames.light, size)[:, :, window[1], window[2]].contiguous())
    return replace(
        scene,
        light=light[window].contiguous(),
        distance_dpt=distance[window].contiguous(),
        px_per_deg=scene.px_per_deg * factor,
        frames=frames,
    )


def _shrunk(light: Tensor, size: list[int]) -> Tensor:
    """Light (N, 3, H, W) >= 0 by the mean of its area."""
    return F.interpolate(light, size=size, mode="bilinear", antialias=True, align_corners=False).clamp_min(0)
