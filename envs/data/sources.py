"""Where photographs come from: scikit-image's own, files, folders, data sets, and scenes with known answers.

A source is a sequence of :class:`Photograph` which reads an image when it is asked for; ``source.names`` are known
before anything is read.
"""

from __future__ import annotations

import importlib.util
import os
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

from ciliary.envs.data.opening import is_signed
from ciliary.envs.data.reading import (
    MIN_SIDE_PX,
    Photograph,
    UnreadableImage,
    fit_size,
    photograph_of,
    read_image,
)
from ciliary.envs.data.scenes import SCENES, make_scene

__all__ = [
    "BUNDLED", "EXTENSIONS", "Photograph", "Source", "UnreadableImage", "bundled", "dataset", "expand_paths", "file",
    "folder", "from_array", "read_all", "read_image", "scenes",
]  # fmt: skip

EXTENSIONS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".dib",
    ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k", ".avif", ".qoi",
    ".pfm", ".jpx", ".jpf", ".jpc", ".j2c", ".pcx", ".sgi", ".ico",
})  # fmt: skip

#: Pictures too, of kinds that cannot be read here: not searched for, but not passed over in silence either.
OTHER_KINDS = frozenset({
    ".heic", ".heif", ".hif", ".jxl", ".psd", ".xcf", ".svg", ".eps", ".exr", ".hdr", ".dcm", ".fits", ".dng", ".cr2",
    ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2",
})  # fmt: skip

# Natural photographs that lie inside scikit-image's wheel (0.24 to 0.26), so that nothing is downloaded.
BUNDLED: dict[str, str] = {
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
    "camera": "camera.png",
    "coins": "coins.png",
    "hubble": "hubble_deep_field.jpg",
}

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


def bundled_files() -> dict[str, Path]:
    """Files of the bundled photographs that are on this machine, by name."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise UnreadableImage("skimage/data", "scikit-image is not installed; run pip install scikit-image")
    data = Path(spec.origin).parent / "data"
    return {name: data / file_name for name, file_name in BUNDLED.items() if (data / file_name).is_file()}


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
    paths, problems = _walk(root)
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

    Images may be PIL, arrays (H, W), (H, W, 3 or 4) of uint8, or tensors (3, H, W) or (1, H, W) in [0, 1] or uint8.
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
        UnreadableImage: for another shape, or values outside [0, 1] (a normalised tensor, for example).
    """
    if isinstance(image, Image.Image):  # as from a file: the same modes, bits and turns
        return replace(photograph_of(image.copy(), Path(name), long_side_px), name=name, path=None)
    if isinstance(image, np.ndarray):
        if image.ndim not in (2, 3):
            raise UnreadableImage(name, f"expected (H, W) or (H, W, C), got an array of shape {image.shape}")
        image = torch.tensor(np.ascontiguousarray(image if image.ndim == 3 else image[..., None])).permute(2, 0, 1)
    pixels = torch.as_tensor(image)
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3, 4):
        raise UnreadableImage(name, f"expected 1, 3 or 4 channels (C, H, W), got {tuple(pixels.shape)}")
    pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
    if not (torch.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        low, high = float(pixels.min()), float(pixels.max())
        raise UnreadableImage(name, f"expected values in [0, 1] or uint8, got {low:g} to {high:g}; leave out Normalize")
    if pixels.shape[0] == 4:
        pixels = pixels[:3] * pixels[3:] + 0.5 * (1 - pixels[3:])
    size = (int(pixels.shape[1]), int(pixels.shape[2]))
    fitted = fit_size(size, long_side_px)
    notes = (f"enlarged from {size[1]}x{size[0]} px",) if min(size) < MIN_SIDE_PX else ()
    pixels = pixels.expand(3, -1, -1)
    if fitted != size:
        pixels = F.interpolate(pixels[None], size=fitted, mode="bilinear", antialias=True, align_corners=False)[0]
    return Photograph(name, pixels.clamp(0, 1).contiguous(), size, notes=notes)


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


def expand_paths(paths: Iterable[str | Path]) -> tuple[list[Path], list[UnreadableImage]]:
    """Files, folders and names of bundled photographs to image files; what cannot be is returned as a problem.

    A file is taken whatever its extension; a folder gives the files below it whose extension is an image's
    (:data:`EXTENSIONS`, in any case; hidden files are left out), sorted. A file named twice is taken once.
    """
    found: dict[Path, Path] = {}
    problems: list[UnreadableImage] = []
    for asked in map(Path, paths):
        path = asked
        if not path.exists() and str(path) in BUNDLED:
            path = bundled_files().get(str(path), path)
        if not path.exists():
            problems.append(UnreadableImage(path, "no such file or folder"))
            continue
        below, trouble = _walk(path) if path.is_dir() else ([path], [])
        problems += trouble
        for image_path in below:
            found.setdefault(image_path.resolve(), image_path)
    return list(found.values()), problems


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


def _walk(root: Path) -> tuple[list[Path], list[UnreadableImage]]:
    paths: list[Path] = []
    problems: list[UnreadableImage] = []

    def note(error: OSError) -> None:
        problems.append(UnreadableImage(error.filename or root, f"folder cannot be read ({error.strerror})"))

    others: list[Path] = []
    for directory, subfolders, files in os.walk(root, onerror=note):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found = [Path(directory, name) for name in sorted(files) if not name.startswith(".")]
        known = [path for path in found if path.suffix.lower() in EXTENSIONS]
        stems = {path.stem for path in known}  # a camera writes its raw beside the JPEG: nothing is missed
        others += [path for path in found if path.suffix.lower() in OTHER_KINDS and path.stem not in stems]
        paths += known
    for kind in sorted({path.suffix.lower() for path in others}):
        own = sorted(path for path in others if path.suffix.lower() == kind)
        words = f"of a kind that cannot be read here ({kind}); convert to PNG or JPEG"
        more = f", and {len(own) - 1} more" if len(own) > 1 else ""
        problems.append(UnreadableImage(own[0], f"{words}{more}"))
    if not paths and not problems:
        problems.append(UnreadableImage(root, "no images in this folder"))
    return sorted(paths), problems
