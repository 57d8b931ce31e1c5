"""Where photographs come from: scikit-image's own, files, folders, data sets, and scenes with known answers.

A source is a sequence of :class:`Photograph` which reads an image when it is asked for; ``source.names`` are known
before anything is read.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ciliary.envs.data.finding import BUNDLED, EXTENSIONS, bundled_files, expand_paths, walk
from ciliary.envs.data.opening import is_signed
from ciliary.envs.data.reading import (
    MIN_SIDE_PX,
    Photograph,
    UnreadableImage,
    fit_size,
    of_16_bits,
    photograph_of,
    read_image,
)
from ciliary.envs.data.scenes import SCENES, make_scene

__all__ = [
    "BUNDLED", "EXTENSIONS", "Photograph", "Source", "UnreadableImage", "bundled", "bundled_files", "dataset",
    "expand_paths", "file", "folder", "from_array", "read_all", "read_image", "scenes",
]  # fmt: skip

_N_KEPT = 64


@dataclass(frozen=True, eq=False)
class Source(Sequence[Photograph]):
    """Photographs by index, read when asked for; the last 64 read are kept (a photograph of 192 px takes 0.3 MB)."""

    names: tuple[str, ...]
    load: Callable[[int], Photograph]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Photograph: ...
    @overload
    def __getitem__(self, index: slice) -> Source: ...
    def __getitem__(self, index: int | slice) -> Photograph | Source:
        if isinstance(index, slice):
            indices = range(len(self))[index]
            return Source(tuple(self.names[i] for i in indices), partial(_load_part, self, indices))
        i_image = range(len(self))[index]  # IndexError, and negative indices, as for any sequence
        if i_image not in self._kept:
            if len(self._kept) >= _N_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[i_image] = self.load(i_image)
        return self._kept[i_image]

    @cached_property
    def _kept(self) -> dict[int, Photograph]:
        return {}

    def find(self, name: str) -> Photograph:
        """The photograph of that name. ``KeyError`` listing the names (the first twenty) if there is none."""
        if name not in self.names:
            raise KeyError(f"no image {name!r} in this source; it has {', '.join(self.names[:20])}")
        return self[self.names.index(name)]


def bundled(long_side_px: int | None = 192, names: Sequence[str] | None = None) -> Source:
    """scikit-image's photographs that are on this machine, in the order of :data:`BUNDLED` or of ``names``.

    Raises:
        ValueError: listing the legal names if one of ``names`` is not there.
    """
    present = bundled_files()
    chosen = tuple(present) if names is None else tuple(names)
    unknown = [name for name in chosen if name not in present]
    if unknown:
        raise ValueError(f"no bundled photograph {', '.join(unknown)}; choose from {', '.join(present)}")
    return _of_files([present[name] for name in chosen], chosen, long_side_px)


def file(path: str | Path, long_side_px: int | None = 192) -> Source:
    """One file as a source. ``UnreadableImage`` at once if it is missing or broken."""
    source = _of_files([Path(path)], [Path(path).stem], long_side_px)
    source[0]  # read now, and kept
    return source


def folder(path: str | Path, long_side_px: int | None = 192) -> Source:
    """All images below a folder, recursive and sorted; named by their path in it, without extension.

    Raises:
        UnreadableImage: if there is no such folder or no image in it. A broken file raises when it is asked for.
    """
    root = Path(path)
    if not root.is_dir():
        raise UnreadableImage(root, "no such folder")
    paths, problems = walk(root)
    paths = not_our_own(paths)
    if not paths:
        raise problems[0] if problems else UnreadableImage(root, "no images in this folder but what Ciliary drew")
    for problem in problems:
        warnings.warn(str(problem), PassedOver, stacklevel=2)
    names = [p.relative_to(root).with_suffix("").as_posix() for p in paths]
    # the same picture in two formats keeps its extension, so that names stay unique
    n_times = Counter(names)
    names = [n if n_times[n] == 1 else p.relative_to(root).as_posix() for n, p in zip(names, paths, strict=True)]
    return _of_files(paths, names, long_side_px)


def dataset(data: Any, long_side_px: int | None = 192, *, prefix: str = "image") -> Source:
    """A torchvision-style data set: ``data[i]`` is an image or a tuple that starts with one (the rest is ignored).

    Images may be PIL, arrays (H, W) or (H, W, 1, 3 or 4), or tensors (1, 3 or 4, H, W): in [0, 1], uint8, or uint16
    (read as a 16-bit file is, and said in ``notes``).
    Names are ``<prefix>_<index>``.
    """
    n_digits = len(str(max(len(data) - 1, 0)))
    names = tuple(f"{prefix}_{i:0{n_digits}d}" for i in range(len(data)))
    return Source(names, partial(_load_item, data, names, long_side_px))


def scenes(
    seeds: Iterable[int] = range(4), kinds: Sequence[str] | None = None, size: tuple[int, int] = (128, 192)
) -> Source:
    """Synthetic scenes with known answers (``photograph.labels``), every kind with every seed."""
    wanted = [(kind, seed) for kind in (kinds or SCENES) for seed in seeds]
    return Source(tuple(f"{kind}_{seed}" for kind, seed in wanted), partial(_load_scene, wanted, size))


def from_array(image: Image.Image | np.ndarray | Tensor, name: str, long_side_px: int | None = 192) -> Photograph:
    """A photograph from pixels in memory (kinds as in :func:`dataset`), sized as :func:`read_image` does.

    Raises:
        UnreadableImage: for another shape, or values outside [0, 1] (0 to 255 as floats, a normalised tensor) or NaN.
    """
    if isinstance(image, Image.Image):  # as from a file: the same modes, bits and turns
        return replace(photograph_of(image.copy(), Path(name), long_side_px), name=name, path=None)
    notes: list[str] = []
    is_array = isinstance(image, np.ndarray)
    if isinstance(image, Tensor) and image.dtype == torch.uint16:
        image = image.cpu().numpy() if image.ndim != 3 else image.permute(1, 2, 0).cpu().numpy()
    if isinstance(image, np.ndarray):
        if image.ndim not in (2, 3):
            raise UnreadableImage(name, f"expected (H, W) or (H, W, C), got an array of shape {image.shape}")
        if image.dtype == np.uint16 and image.size:
            image, few = of_16_bits(image)
            notes.append(few or "16-bit values were divided by 65535")
        image = torch.tensor(np.ascontiguousarray(image if image.ndim == 3 else image[..., None])).permute(2, 0, 1)
    pixels = torch.as_tensor(image)
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3, 4):
        raise UnreadableImage(name, f"expected 1, 3 or 4 channels (C, H, W), got {tuple(pixels.shape)}")
    pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
    if complaint := _out_of_range(pixels, is_array=is_array):
        raise UnreadableImage(name, complaint)
    if pixels.shape[0] == 4:
        pixels = pixels[:3] * pixels[3:] + 0.5 * (1 - pixels[3:])
    size = (int(pixels.shape[1]), int(pixels.shape[2]))
    fitted = fit_size(size, long_side_px)
    if min(size) < MIN_SIDE_PX:
        notes.append(f"enlarged from {size[1]}x{size[0]} to {fitted[1]}x{fitted[0]} px")
    pixels = pixels.expand(3, -1, -1)
    if fitted != size:
        pixels = F.interpolate(pixels[None], size=fitted, mode="bilinear", antialias=True, align_corners=False)[0]
    return Photograph(name, pixels.clamp(0, 1).contiguous(), size, notes=tuple(notes))


def _out_of_range(pixels: Tensor, *, is_array: bool) -> str:
    """What is wrong with pixels that are to lie in [0, 1], and what to do; nothing where they do."""
    n_lost = int((~torch.isfinite(pixels)).sum())
    if n_lost:
        return (
            f"{n_lost} of {pixels.numel()} values are not finite (NaN or infinite); replace them by numbers in [0, 1]"
        )
    low, high = (float(pixels.min()), float(pixels.max())) if pixels.numel() else (0.0, 0.0)
    if low >= 0 and high <= 1:
        return ""
    top = next((top for top in (255, 65535) if low >= 0 and 2 < high <= top), None)
    otherwise = "bring them to [0, 1]" if is_array else "leave out Normalize"
    do = f"divide by {top}" if top else otherwise
    return f"expected values in [0, 1], uint8 or uint16, got {low:g} to {high:g}: {do}"


class PassedOver(UserWarning):
    """Something in a folder was not used; says what. The command line shows it in one line."""


def not_our_own(paths: Sequence[Path]) -> list[Path]:
    """Pictures without those that Ciliary drew itself, which are named in a warning (:class:`PassedOver`)."""
    kept = [path for path in paths if not is_signed(path)]
    if len(kept) < len(paths):
        own = next(path for path in paths if path not in set(kept))
        words = f"{len(paths) - len(kept)} pictures that Ciliary drew itself were passed over, such as {own}"
        warnings.warn(words, PassedOver, stacklevel=3)
    return kept


def read_all(paths: Iterable[str | Path], long_side_px: int | None = 192) -> Iterator[Photograph | UnreadableImage]:
    """Each file's photograph, or the problem with it, one at a time."""
    for path in paths:
        try:
            yield read_image(path, long_side_px)
        except UnreadableImage as problem:
            yield problem


# Loaders are module-level functions, bound by partial(), so that a source can be pickled.


def _of_files(paths: Sequence[Path], names: Sequence[str], long_side_px: int | None) -> Source:
    return Source(tuple(names), partial(_load_file, tuple(paths), tuple(names), long_side_px))


def _load_file(paths: Sequence[Path], names: Sequence[str], long_side_px: int | None, i: int) -> Photograph:
    return replace(read_image(paths[i], long_side_px), name=names[i])


def _load_item(data: Any, names: Sequence[str], long_side_px: int | None, i: int) -> Photograph:
    item = data[i]
    return from_array(item[0] if isinstance(item, (tuple, list)) else item, names[i], long_side_px)


def _load_scene(wanted: Sequence[tuple[str, int]], size: tuple[int, int], i: int) -> Photograph:
    kind, seed = wanted[i]
    image, labels = make_scene(kind, seed=seed, size=size)
    return Photograph(f"{kind}_{seed}", image, size, labels=labels)


def _load_part(source: Source, indices: range, i: int) -> Photograph:
    return source[indices[i]]
