"""Readers of named images: small images in an npz, folders of class folders, and official one-shot runs."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ciliary.envs.data.reading import UnreadableImage, read_image
from ciliary.envs.data.sources import EXTENSIONS
from ciliary.tuning.benchmarks.one_shot import RUNS_PX, read_runs
from ciliary.tuning.benchmarks.pictures import NamedImages, Pictures, evenly, squared

SMALL_PX = 64  # small images (32 px) are enlarged to this
PHOTOGRAPH_PX = 160  # short side of photographs, middle square
TEST_FOLDERS = ("val", "test")
NPZ_KEYS = ("train_images", "train_labels", "test_images", "test_labels", "classes")
HELD_OUT = 3  # of a folder without train/ and val/, every third image of a class is kept for the test
LAYOUTS = (
    "expected an .npz with train_images, train_labels, test_images, test_labels and classes; a folder with train/ and "
    "val/ (or test/) of class folders, or the class folders themselves; or a .zip of one-shot runs (runNN/training, "
    "runNN/test, runNN/class_labels.txt)"
)


@dataclass(frozen=True)
class ReadSettings:
    """How much is read, and how large.

    Attributes:
        size_px: side of the square that is perceived; by kind of data when None (64, 160 or 96 px).
        n_images: at most so many training images of a class, and as many test images, evenly spaced; None for all.
        n_queries: at most so many test images of a class; ``n_images`` when None.
    """

    size_px: int | None = None
    n_images: int | None = None
    n_queries: int | None = None

    @property
    def n_test(self) -> int | None:
        """Test images of a class."""
        return self.n_images if self.n_queries is None else self.n_queries


def read_named(path: str | Path, how: ReadSettings | None = None) -> NamedImages:
    """Named images of any of the three layouts.

    Raises:
        ValueError: nothing there, another layout, or a class without training or test images.
    """
    path, how = Path(path), how or ReadSettings()
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder; {LAYOUTS}")
    if path.is_dir():
        packed = [file for pattern in ("*.npz", "all_runs.zip") for file in sorted(path.glob(pattern))]
        if len(packed) != 1:
            return read_class_folders(path, how)
        path = packed[0]
    if path.suffix == ".npz":
        return read_npz(path, how)
    if path.suffix == ".zip":
        return read_runs(path, how.size_px or RUNS_PX)
    raise ValueError(f"{path}: neither .npz, .zip nor a folder; {LAYOUTS}")


def read_npz(path: Path, how: ReadSettings) -> NamedImages:
    """Small images of one size in an npz with :data:`NPZ_KEYS`; images (N, H, W, 3) uint8, labels (N,).

    Raises:
        ValueError: another content.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in NPZ_KEYS if key not in file]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)}")
            classes = tuple(str(name) for name in file["classes"])
            train, test = (
                _half(file[f"{half}_images"], file[f"{half}_labels"], classes, n, how.size_px or SMALL_PX)
                for half, n in (("train", how.n_images), ("test", how.n_test))
            )
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {error}; {LAYOUTS}") from error
    return NamedImages(path.stem, classes, train, test)


def read_class_folders(root: Path, how: ReadSettings) -> NamedImages:
    """A folder for each class, in train/ and val/ (or test/); without these, every third image is held out.

    Raises:
        ValueError: no class folders, other classes in the test, or a class of which nothing can be read.
    """
    halves = _files_of_halves(root)
    classes = tuple(halves["train"])
    if unknown := sorted(set(halves["test"]) ^ set(classes)):
        raise ValueError(f"{root}: classes {', '.join(unknown)} are in one half only; {LAYOUTS}")
    if len(classes) < 2:
        raise ValueError(f"{root}: expected two or more class folders with images, got {len(classes)}; {LAYOUTS}")
    size_px, problems = how.size_px or PHOTOGRAPH_PX, []
    pictures = {}
    for half, n in (("train", how.n_images), ("test", how.n_test)):
        images, labels = [], []
        for i_class, name in enumerate(classes):
            files = halves[half][name]
            for i in evenly(len(files), n):
                try:
                    photograph = read_image(files[i], None)
                except UnreadableImage as error:
                    problems.append(f"{name}/{files[i].name}: {error.reason}")
                    continue
                images.append(squared(photograph.image[None], size_px))
                labels.append(i_class)
        if lacking := [name for i, name in enumerate(classes) if i not in set(labels)]:
            raise ValueError(f"{root}: no image that can be read of {', '.join(lacking)} in the {half} half")
        pictures[half] = Pictures(torch.cat(images), np.array(labels), np.zeros(len(labels), np.int64))
    return NamedImages(root.name, classes, pictures["train"], pictures["test"], problems=tuple(problems))


def _half(
    images: np.ndarray, labels: np.ndarray, classes: Sequence[str], n_of_class: int | None, size_px: int
) -> Pictures:
    labels = labels.astype(np.int64)
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or len(images) != len(labels):
        raise ValueError(f"expected images (N, H, W, 3) of uint8, one a label, got {images.shape} of {images.dtype}")
    if set(np.unique(labels)) != set(range(len(classes))):
        raise ValueError(f"expected labels 0 to {len(classes) - 1}, each at least once")
    own = [np.flatnonzero(labels == i) for i in range(len(classes))]
    kept = np.sort(np.concatenate([which[evenly(len(which), n_of_class)] for which in own]))
    pixels = torch.from_numpy(images[kept]).permute(0, 3, 1, 2).float() / 255
    return Pictures(squared(pixels, size_px), labels[kept], np.zeros(len(kept), np.int64))


def _files_of_halves(root: Path) -> dict[str, dict[str, list[Path]]]:
    """``train`` and ``test`` -> class -> files."""
    tests = [root / name for name in TEST_FOLDERS if (root / name).is_dir()]
    if (root / "train").is_dir() and tests:
        return {"train": _class_files(root / "train"), "test": _class_files(tests[0])}
    if (root / "train").is_dir() or tests:
        raise ValueError(f"{root}: of train/ and val/ (or test/), one is missing; {LAYOUTS}")
    found = _class_files(root)
    if few := [name for name, files in found.items() if len(files) < HELD_OUT]:
        raise ValueError(f"{root}: fewer than {HELD_OUT} images of {', '.join(few)}, of which one is to be held out")
    held = {name: files[HELD_OUT - 1 :: HELD_OUT] for name, files in found.items()}
    return {
        "train": {name: [f for f in files if f not in set(held[name])] for name, files in found.items()},
        "test": held,
    }


def _class_files(folder: Path) -> dict[str, list[Path]]:
    """Class -> its image files; folders without images are no classes."""
    found = {}
    for place in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        files = sorted(f for f in place.iterdir() if f.suffix.lower() in EXTENSIONS and not f.name.startswith("."))
        if files:
            found[place.name] = files
    return found
