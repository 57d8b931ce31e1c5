"""Photographs with what people saw in them: BSDS500, a user's own folder of labelled images, or none who saw anything.

Entries are read when they are asked for, so that a whole set is a few names until then and pickles for worker
processes. BSDS500: Arbelaez, Maire, Fowlkes and Malik 2011; 4 to 9 people drew each photograph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, overload

import numpy as np
from scipy.io import loadmat
from skimage.morphology import thin
from torch import Tensor

from ciliary.envs.data.finding import expand_paths
from ciliary.envs.data.opening import UnreadableImage, open_picture
from ciliary.envs.data.reading import read_image
from ciliary.envs.metrics.boundaries import label_boundaries
from ciliary.envs.metrics.regions import People

IMAGE_KINDS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image and the maps people drew of it.

    Attributes:
        name: file name without extension.
        path: where the image was read from; None if it was made.
        image: (3, H, W) float32, sRGB in [0, 1], at full size.
        segmentations: one label map (H, W) int32 a person; none where nobody drew.
        boundaries: one boundary map (H, W) bool a person.
    """

    name: str
    path: Path | None
    image: Tensor
    segmentations: tuple[np.ndarray, ...]
    boundaries: tuple[np.ndarray, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.image.shape[-2], self.image.shape[-1]

    @cached_property
    def people(self) -> People:
        """The segmentations prepared for scoring many label maps against them."""
        return People.of(self.segmentations)


class Entry(NamedTuple):
    """An image file, the files with people's maps of it, and what it is called."""

    path: Path
    drawn: tuple[Path, ...]
    name: str


@dataclass(frozen=True)
class LabelledSet(Sequence[LabelledImage]):
    """Labelled images, read on access."""

    entries: tuple[Entry, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images, in order, without reading them."""
        return tuple(entry.name for entry in self.entries)

    @property
    def is_labelled(self) -> bool:
        """Whether people's maps are there."""
        return all(entry.drawn for entry in self.entries)

    @cached_property
    def digests(self) -> dict[str, str]:
        """Name -> 12 hex digits of what is in the image's file and those of its maps."""
        return {entry.name: _digest(entry.path, *entry.drawn) for entry in self.entries}

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> LabelledImage: ...
    @overload
    def __getitem__(self, index: slice) -> LabelledSet: ...
    def __getitem__(self, index: int | slice) -> LabelledImage | LabelledSet:
        if isinstance(index, slice):
            return LabelledSet(self.entries[index])
        path, drawn, name = self.entries[index]
        image = read_image(path, None).image
        pairs = [pair for file in drawn for pair in (_read_mat(file) if file.suffix == ".mat" else _read_png(file))]
        for segmentation, boundary in pairs:
            if not segmentation.shape == boundary.shape == tuple(image.shape[1:]):
                raise ValueError(
                    f"{drawn[0]}: maps are {segmentation.shape} but the image {path.name} is {tuple(image.shape[1:])}; "
                    "labels must have the image's height and width"
                )
        return LabelledImage(name, path, image, tuple(s for s, _ in pairs), tuple(b for _, b in pairs))

    def evenly(self, n_images: int) -> LabelledSet:
        """``n_images`` of them, evenly spaced in order: every ``len // n_images``-th.

        Raises:
            ValueError: if ``n_images`` is not in 1 .. len.
        """
        if not 1 <= n_images <= len(self):
            raise ValueError(f"asked for {n_images} images of {len(self)}; give 1 to {len(self)}")
        return LabelledSet(self.entries[:: len(self) // n_images][:n_images])


def read_bsds(root: str | Path, split: Literal["train", "val"], *, n_images: int | None = None) -> LabelledSet:
    """The photographs of one split of BSDS500, in name order.

    Args:
        root: holds ``images/<split>/*.jpg`` and ``groundTruth/<split>/*.mat``.
        split: ``train`` (200 photographs, to calibrate on) or ``val`` (100, to report on).
        n_images: as many, evenly spaced; None for all.

    Raises:
        ValueError: another split, a root without these folders, or a photograph without its ``.mat``.
    """
    if split not in ("train", "val"):
        raise ValueError(f"split must be 'train' or 'val', got {split!r}; the test images are held out")
    root = Path(root)
    images = sorted((root / "images" / split).glob("*.jpg"))
    if not images:
        raise ValueError(f"{root}: no images/{split}/*.jpg; give the folder that holds images/ and groundTruth/")
    entries = tuple(Entry(one, (root / "groundTruth" / split / f"{one.stem}.mat",), one.stem) for one in images)
    for image, (drawn,), _ in entries:
        if not drawn.is_file():
            raise ValueError(f"{image}: its people's maps are missing, expected {drawn}")
    found = LabelledSet(entries)
    return found if n_images is None else found.evenly(n_images)


def read_labelled_folder(root: str | Path) -> LabelledSet:
    """A user's own labelled images.

    ``root/images/<name>.jpg`` or ``.png``, and for each at least one ``root/labels/<name>*.png``: a label map of the
    image's size, 8 or 16 bits, grey or palette, every number a region. A map belongs to the longest name it starts
    with: ``cat2_anna.png`` is of ``cat2`` even where there is a ``cat``. Boundaries are taken from the maps.

    Raises:
        ValueError: no images, two of one name, an image without maps, or maps that belong to no image.
    """
    root = Path(root)
    images = sorted(path for path in (root / "images").glob("*") if path.suffix.lower() in IMAGE_KINDS)
    if not images:
        raise ValueError(f"{root}: no images/*.jpg or images/*.png; give the folder that holds images/ and labels/")
    owned: dict[str, list[Path]] = {image.stem: [] for image in images}
    if len(owned) < len(images):
        raise ValueError(f"{root / 'images'}: two images have one name and differ only in extension; rename one")
    for drawn in sorted((root / "labels").glob("*.png")):
        owners = [name for name in owned if drawn.stem.startswith(name)]
        if not owners:
            raise ValueError(f"{drawn}: belongs to no image; its name must start with that of a file in images/")
        owned[max(owners, key=len)].append(drawn)
    for image in images:
        if not owned[image.stem]:
            raise ValueError(f"{image}: has no label map, expected {root / 'labels' / image.stem}*.png")
    return LabelledSet(tuple(Entry(image, tuple(owned[image.stem]), image.stem) for image in images))


def read_photographs(paths: Iterable[str | Path]) -> tuple[LabelledSet, list[UnreadableImage]]:
    """Photographs nobody drew on: files, and folders with all image files below them; and what could not be found.

    A name is the file's stem; a repeated one gets ``_2``, ``_3``, ...
    """
    files, problems = expand_paths(paths)
    entries: dict[str, Entry] = {}
    for path in files:
        name, n = path.stem, 1
        while name in entries:
            n += 1
            name = f"{path.stem}_{n}"
        entries[name] = Entry(path, (), name)
    return LabelledSet(tuple(entries.values())), problems


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()[:12]


def _read_mat(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    try:
        drawn = loadmat(path)["groundTruth"][0]
        return [(one["Segmentation"][0, 0].astype(np.int32), one["Boundaries"][0, 0].astype(bool)) for one in drawn]
    except Exception as error:  # the decoder meets broken bytes with almost any exception
        raise ValueError(f"{path}: not a ground truth file of BSDS500 ({error})") from error


def read_label_map(path: str | Path) -> np.ndarray:
    """One label map (H, W) int32 of a picture of one channel, 8 or 16 bits, grey or palette.

    Raises:
        ValueError: it cannot be read, or holds something else; names the file.
    """
    try:
        with open_picture(path) as file:
            values, mode = np.asarray(file), file.mode
    except UnreadableImage as error:
        raise ValueError(f"{path}: cannot be read as a label map ({error.reason})") from error
    if values.ndim != 2 or values.dtype.kind not in "iub":
        raise ValueError(f"{path}: expected one channel of integers, got mode {mode}; save it as grey, 8 or 16 bit")
    return values.astype(np.int32)


def _read_png(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    labels = read_label_map(path)
    return [(labels, thin(label_boundaries(labels)))]  # as the boundaries of BSDS500 were made
