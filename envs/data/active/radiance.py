"""Radiance pictures (``.hdr``, RGBE): light over many decades, read here since Pillow does not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.eye.parameters import WIDTH_DEG
from ciliary.cortex.ops.guided import luminance
from ciliary.envs.data.active.scene import WHITE_CD_M2, EyeScene, shrink
from ciliary.envs.data.reading import MAX_PIXELS, UnreadableImage

_MIDDLE_GREY = 0.18


def hdr_scene(
    path: str | Path,
    *,
    long_side_px: int | None = None,
    width_deg: float = WIDTH_DEG,
    white_cd_m2: float = WHITE_CD_M2,
) -> EyeScene:
    """A Radiance picture as a flat scene.

    Its unit is rarely calibrated: the geometric mean of its luminance is made middle grey, 0.18 (Reinhard et al. 2002);
    ``white_cd_m2`` says how bright that world is.

    Raises:
        UnreadableImage: see :func:`read_radiance`, or a picture that is black.
    """
    light = read_radiance(path)
    if not bool((light > 0).any()):
        raise UnreadableImage(path, "is black everywhere")
    light = about_middle_grey(light)
    light, distance, scale = shrink(light, torch.zeros_like(light[:1]), light.shape[2] / width_deg, long_side_px)
    return EyeScene(Path(path).stem, light, distance, scale, white_cd_m2, n_layers=1)


def about_middle_grey(light: Tensor) -> Tensor:
    """Light (3, H, W) in the unit in which the geometric mean of its luminance is .18; black does not count."""
    grey = luminance(light[None])
    return light * (_MIDDLE_GREY / grey[grey > 0].log().mean().exp())


def read_radiance(path: str | Path) -> Tensor:
    """A Radiance picture: linear light (3, H, W) float32 >= 0, in the file's own unit.

    RGBE, flat or run-length coded, rows from the top and columns from the left (Ward 1991; ``-Y H +X W``), the
    ``EXPOSURE`` of the header taken out.

    Raises:
        UnreadableImage: missing, no Radiance picture, another order of rows, XYZE, or cut short.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(path, error.strerror or "cannot be read") from None
    head, separator, rest = data.partition(b"\n\n")
    if not data.startswith(b"#?") or not separator:
        raise UnreadableImage(path, "no Radiance picture: expected '#?RADIANCE' and a header")
    if b"32-bit_rle_xyze" in head:
        raise UnreadableImage(path, "is in XYZE; convert it to RGBE (ra_xyze -r)")
    resolution, _, pixels = rest.partition(b"\n")
    match = re.fullmatch(rb"-Y (\d+) \+X (\d+)\s*", resolution)
    if match is None:
        raise UnreadableImage(path, f"expected '-Y height +X width', got {resolution[:40]!r}")
    height, width = (int(number) for number in match.groups())
    if not 0 < height * width <= MAX_PIXELS:
        raise UnreadableImage(path, f"{width}x{height} px is nothing, or over the limit")
    rgbe = _decode(pixels, height, width, path)
    scale = np.ldexp(np.float32(1), rgbe[..., 3].astype(np.int32) - 136)  # 128 of the exponent, 8 of the mantissa
    light = rgbe[..., :3].astype(np.float32) * np.where(rgbe[..., 3] > 0, scale, np.float32(0))[..., None]
    exposure = np.prod([float(value) for value in re.findall(rb"EXPOSURE\s*=\s*([-+.\deE]+)", head)] or [1.0])
    if not exposure > 0:
        raise UnreadableImage(path, f"expected an EXPOSURE > 0, got {exposure}")
    return torch.from_numpy(np.ascontiguousarray(light.transpose(2, 0, 1) / np.float32(exposure)))


def _decode(data: bytes, height: int, width: int, path: Path) -> np.ndarray:
    """Pixels (H, W, 4) uint8."""
    raw = np.frombuffer(data, np.uint8)
    mark = (2, 2, width >> 8, width & 255)
    if len(raw) < 4 or not 8 <= width < 32768 or tuple(raw[:4]) != mark:
        if len(raw) < 4 * height * width:
            raise UnreadableImage(path, f"cut short: {len(raw)} bytes of pixels for {width}x{height}")
        flat: np.ndarray = raw[: 4 * height * width].reshape(height, width, 4)
        return flat
    out = np.empty((height, 4, width), np.uint8)
    at = 0
    try:
        for row in out:
            if tuple(raw[at : at + 4]) != mark:
                raise UnreadableImage(path, "its rows are coded in different ways")
            at += 4
            for channel in row:
                at = _runs(raw, at, channel)
    except (IndexError, ValueError) as error:
        if isinstance(error, UnreadableImage):
            raise
        raise UnreadableImage(path, "cut short, or damaged") from None
    pixels: np.ndarray = out.transpose(0, 2, 1)
    return pixels


def _runs(raw: np.ndarray, at: int, channel: np.ndarray) -> int:
    """One channel of a row: counts over 128 repeat one byte, others are followed by so many."""
    done = 0
    while done < len(channel):
        count = int(raw[at])
        if count > 128:
            channel[done : done + count - 128] = raw[at + 1]
            done, at = done + count - 128, at + 2
        else:
            if count == 0:
                raise ValueError("a run of nothing")
            channel[done : done + count] = raw[at + 1 : at + 1 + count]
            done, at = done + count, at + 1 + count
    return at
