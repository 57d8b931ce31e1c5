"""Scenes in time: a folder of frames, with depth or without, and a patch that moves before a ground.

**A film** is a folder that holds the frames of one scene and no other images, two or more of one size:

* numbered pictures in any of the usual formats, in the order of their names (numbers as numbers: ``10`` after ``9``);
* or frames with depth, ``<name>.color.jpg`` (or ``.png``) and beside each ``<name>.depth.png``
  (:mod:`ciliary.envs.data.depth`), in the order of their names; poses are not read.

Nothing in a folder tells a film from photographs: whoever reads it says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.active.drifting import patch_frames
from ciliary.envs.data.active.scene import EyeScene, SceneFilm, depth_scene, photograph_scene
from ciliary.envs.data.active.stacks import frame_paths
from ciliary.envs.data.depth import COLOURS, DEPTH, DepthEntry, read_depth
from ciliary.envs.data.opening import UnreadableImage, open_picture
from ciliary.envs.data.reading import read_image

#: Between two frames of video.
FRAME_MS = 1000 / 30
#: Of the patch: where it is at most, in halves of the field, so that it never leaves it.
_REACH = 0.72
_SPEEDS_PX = (0.5, 1.2)  # px a frame
_PAN_PX = 1.5


def filmed(film: SceneFilm, name: str) -> EyeScene:
    """The first frame of a film, with the film."""
    return replace(film.at(0), name=name, film=film)


def mapped(scene: EyeScene, change: Callable[[EyeScene], EyeScene]) -> EyeScene:
    """A scene changed (cropped, shrunk), and every frame of its film likewise."""
    changed = change(scene)
    if scene.film is None:
        return changed
    return replace(changed, film=replace(scene.film, at=partial(_changed, scene.film.at, change)))


def _changed(at: Callable[[int], EyeScene], change: Callable[[EyeScene], EyeScene], i: int) -> EyeScene:
    return change(at(i))


def read_film(
    folder: str | Path, *, frame_ms: float = FRAME_MS, width_deg: float = WIDTH_DEG, nearness: float = 1.0
) -> EyeScene:
    """A folder as a film (the format is above); frames are read when they are looked at.

    Args:
        folder: of the frames.
        frame_ms: between two of them.
        width_deg: of the field.
        nearness: of frames with depth, see :func:`~ciliary.envs.data.active.scene.depth_scene`.

    Raises:
        ValueError: no such folder, fewer than two frames, frames of different sizes, or a frame without its depth.
    """
    folder = Path(folder)
    name = folder.resolve().name
    if folder.is_dir() and has_depth(folder):
        entries = [entry for entry in read_depth([folder]).entries if entry.colour.parent == folder]
        _check_sizes([entry.colour for entry in entries])
        read: Callable[[int], EyeScene] = partial(_depth_frame, tuple(entries), nearness, width_deg)
        n_frames = len(entries)
        if n_frames < 2:
            raise ValueError(f"{folder}: expected 2 frames or more of one scene, got {n_frames}; one is a photograph")
    else:
        paths = frame_paths(folder, at_least=2)
        _check_sizes(paths)
        read, n_frames = partial(_frame, tuple(paths), width_deg), len(paths)
    return filmed(SceneFilm(n_frames, frame_ms, read), name)


def film_folders(root: Path) -> list[Path]:
    """The folders of films in a folder: itself if it holds two images or more, else those right in it that do.

    Raises:
        ValueError: none is one.
    """
    for found in ([root], sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []):
        good = [path for path in found if _holds_frames(path)]
        if good:
            return good
    raise ValueError(
        f"{root}: no film; expected a folder of two frames or more of one scene, numbered pictures or "
        f"<name>{COLOURS[0]} with <name>{DEPTH}, or folders that each are one"
    )


def has_depth(folder: Path) -> bool:
    """Whether a folder's frames have depth beside them."""
    return any(folder.glob(f"*{DEPTH}"))


def _holds_frames(path: Path) -> bool:
    try:
        return len(frame_paths(path, at_least=2)) >= 2
    except ValueError:
        return False


def _check_sizes(paths: list[Path]) -> None:
    """ValueError unless all are of one size; pictures that cannot be read are complained of when they are."""
    first: tuple[int, int] | None = None
    for path in paths:
        try:
            with open_picture(path) as picture:
                size = picture.size
        except UnreadableImage:
            continue
        first = first or size
        if size != first:
            raise ValueError(
                f"{path}: is {size[0]}x{size[1]} px but {paths[0].name} is {first[0]}x{first[1]}; the frames of a "
                "film must have one size"
            )


def _frame(paths: tuple[Path, ...], width_deg: float, i: int) -> EyeScene:
    return photograph_scene(read_image(paths[i], None), width_deg=width_deg)


def _depth_frame(entries: tuple[DepthEntry, ...], nearness: float, width_deg: float, i: int) -> EyeScene:
    image = entries[i].read()
    return depth_scene(image, nearness=nearness, px_per_deg=image.image.shape[-1] / width_deg)


def patch_film(
    *,
    background_px: tuple[float, float],
    patch_px: tuple[float, float],
    n_frames: int,
    seed: int = 0,
    size_px: tuple[int, int] = (240, 320),
    side_px: int = 48,
    start_px: tuple[float, float] | None = None,
    px_per_deg: float | None = None,
    frame_ms: float = FRAME_MS,
) -> EyeScene:
    """A square of noise that moves before noise that moves otherwise, far away: alike, but for motion.

    Args:
        background_px, patch_px: velocities (y, x), px a frame.
        n_frames: >= 2.
        seed: of the noises.
        size_px: (H, W).
        side_px: of the square.
        start_px: (y, x) of the square's middle in the first frame; the image's middle when None.
        px_per_deg: :data:`~ciliary.cortex.eye.parameters.WIDTH_DEG` across when None.
        frame_ms: between two frames.

    Returns:
        The scene; ``film.mover_deg`` tells where the square's middle is.
    """
    scale = size_px[1] / WIDTH_DEG if px_per_deg is None else px_per_deg
    middle = np.array([(n - 1) / 2 for n in size_px])
    start = middle if start_px is None else np.array(start_px)
    velocity = np.array(patch_px)
    end = start + velocity * (n_frames - 1)
    frames, _ = patch_frames(
        background_px=background_px,
        patch_px=patch_px,
        n_frames=n_frames,
        seed=seed,
        size_px=size_px,
        side_px=side_px,
        centre_px=(float(end[0]), float(end[1])),
    )
    light = srgb_to_linear(frames[:, :1]).contiguous()  # grey, and a third of the memory
    mover = partial(_along, (start - middle) / scale, velocity / scale)
    return filmed(SceneFilm(n_frames, frame_ms, partial(_grey_frame, light, scale), mover), "patch")


def _grey_frame(light: Tensor, scale: float, i: int) -> EyeScene:
    return EyeScene("patch", light[i].expand(3, -1, -1), torch.zeros_like(light[i]), scale, n_layers=1)


def _along(start: np.ndarray, velocity: np.ndarray, i: int) -> tuple[float, float]:
    y, x = start + velocity * i
    return float(y), float(x)


def drawn_patch_film(
    seed: int,
    *,
    n_frames: int,
    size_px: tuple[int, int],
    px_per_deg: float,
    frame_ms: float = FRAME_MS,
    is_panning: bool | None = None,
) -> EyeScene:
    """A patch that crosses the field, .5 to 1.2 px a frame, before a ground at rest or panning: drawn by seed.

    It is as large as a fifth of the height, and never leaves the field; a speed that would is brought down.

    Args:
        seed: of speeds, places and noises.
        n_frames, size_px, px_per_deg, frame_ms: see :func:`patch_film`.
        is_panning: the ground does (1.5 px a frame), or rests; drawn when None.
    """
    rng = np.random.default_rng(seed)
    size = np.array(size_px)
    speed, angle = rng.uniform(*_SPEEDS_PX), rng.uniform(0, 2 * np.pi)
    velocity = speed * np.array([np.sin(angle), np.cos(angle)])
    travel = velocity * (n_frames - 1)
    room = _REACH * size
    shrink = min(1.0, *(room / np.maximum(np.abs(travel), 1e-9)))
    velocity, travel = velocity * shrink, travel * shrink
    # The path's middle is drawn so that both its ends are within reach.
    middle = (size - 1) / 2 + rng.uniform(-0.5, 0.5, 2) * (room - np.abs(travel))
    start = middle - travel / 2
    pan = rng.uniform(0, 2 * np.pi)
    is_drawn = bool(rng.random() < 0.5)
    ground = _PAN_PX * float(is_drawn if is_panning is None else is_panning) * np.array([np.sin(pan), np.cos(pan)])
    return patch_film(
        background_px=(float(ground[0]), float(ground[1])),
        patch_px=(float(velocity[0]), float(velocity[1])),
        n_frames=n_frames,
        seed=int(rng.integers(2**30)),
        size_px=size_px,
        side_px=round(size_px[0] / 5),
        start_px=(float(start[0]), float(start[1])),
        px_per_deg=px_per_deg,
        frame_ms=frame_ms,
    )
