"""Photographs and where people looked in them.

A folder holds ``images/`` and ``fixations.npz``, whose flat arrays have one entry a fixation: ``image`` (index into
``names``), ``subject`` (number of the person), ``order`` (0 for the first of a person in an image), ``x_px`` and
``y_px`` (from the photograph's top left corner, the first pixel spanning 0 to 1) and ``duration_ms``; and ``names``,
the files in ``images/``. So lies OSIE here (Xu, Jiang, Wang, Kankanhalli and Zhao 2014, "Predicting human gaze beyond
pixels": 15 people, 3 s, 800 x 600 px, 24 px to a degree).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, overload

import numpy as np
from torch import Tensor

from ciliary.envs.data.reading import read_image

TABLE = "fixations.npz"
COLUMNS = ("subject", "order", "y_px", "x_px", "duration_ms")
OSIE_PX_PER_DEG = 24.0


@dataclass(frozen=True, eq=False)
class Fixations:
    """Where people looked in one photograph: arrays (N,), each person's in their order.

    Attributes:
        subject: number of the person.
        order: 0 for a person's first fixation.
        y_px, x_px: from the top left corner of the full-size photograph.
        duration_ms: of the fixation.
    """

    subject: np.ndarray
    order: np.ndarray
    y_px: np.ndarray
    x_px: np.ndarray
    duration_ms: np.ndarray

    def __len__(self) -> int:
        return len(self.subject)

    @property
    def subjects(self) -> tuple[int, ...]:
        """The people, in rising order."""
        return tuple(int(one) for one in np.unique(self.subject))

    def where(self, is_kept: np.ndarray) -> Fixations:
        """Those for which ``is_kept`` (N,) bool holds."""
        return Fixations(*(getattr(self, field.name)[is_kept] for field in fields(self)))

    def of(self, subject: int) -> Fixations:
        """One person's path."""
        return self.where(self.subject == subject)

    def without(self, subject: int) -> Fixations:
        """All other people's."""
        return self.where(self.subject != subject)


@dataclass(frozen=True, eq=False)
class GazedImage:
    """A photograph and where people looked in it.

    Attributes:
        name: file name without extension.
        path: of the photograph.
        image: (3, H, W) float32, sRGB in [0, 1], at full size.
        fixations: in pixels of this size.
    """

    name: str
    path: Path
    image: Tensor
    fixations: Fixations


@dataclass(frozen=True, eq=False)
class GazeSet(Sequence[GazedImage]):
    """Photographs with fixations; photographs are read on access, fixations are there.

    Attributes:
        paths: of the photographs.
        fixations: of each, never empty.
    """

    paths: tuple[Path, ...]
    fixations: tuple[Fixations, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the photographs, in order."""
        return tuple(path.stem for path in self.paths)

    def half(self, which: Literal["choose", "tell"]) -> GazeSet:
        """One of two halves by name: what is chosen is chosen on ``choose``, numbers are told on ``tell``.

        A photograph's half is a bit of the hash of its name: it stays there whatever else is in the set, and the
        halves differ a little in size.
        """
        if which not in ("choose", "tell"):
            raise ValueError(f"the halves are 'choose' and 'tell', got {which!r}")
        kept = [i for i, name in enumerate(self.names) if is_to_choose(name) == (which == "choose")]
        return self.only(kept)

    def only(self, indices: Sequence[int]) -> GazeSet:
        """Those at ``indices``, in that order."""
        return GazeSet(tuple(self.paths[i] for i in indices), tuple(self.fixations[i] for i in indices))

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> GazedImage: ...
    @overload
    def __getitem__(self, index: slice) -> GazeSet: ...
    def __getitem__(self, index: int | slice) -> GazedImage | GazeSet:
        if isinstance(index, slice):
            return GazeSet(self.paths[index], self.fixations[index])
        path, fixations = self.paths[index], self.fixations[index]
        image = read_image(path, None).image
        if (fixations.y_px >= image.shape[1]).any() or (fixations.x_px >= image.shape[2]).any():
            raise ValueError(
                f"{path}: a fixation lies at {fixations.y_px.max():.1f}, {fixations.x_px.max():.1f} px (y, x at most) "
                f"but the photograph is {image.shape[1]} px high and {image.shape[2]} px wide; drop it, or give the "
                "photograph at the size that was shown"
            )
        return GazedImage(path.stem, path, image, fixations)


def is_to_choose(name: str) -> bool:
    """Whether the photograph of this name is in the half that things are chosen on (bit 0 of the name's SHA-256)."""
    return hashlib.sha256(name.encode()).digest()[-1] % 2 == 0


def read_gaze(root: str | Path) -> GazeSet:
    """Photographs and fixations of a folder as the module describes it, in the order of ``names``.

    Raises:
        ValueError: no table, one that lacks an array or holds another kind of it, arrays of different lengths, values
            out of range, a name that repeats, a photograph that is missing or that nobody looked at.
    """
    root = Path(root)
    columns, names, image = _read_table(root / TABLE)
    stems = [Path(name).stem for name in names]
    if len(set(stems)) < len(stems):
        raise ValueError(f"{root / TABLE}: names repeat (without their extensions); a photograph stands there once")
    if len(image) and not 0 <= image.min() <= image.max() < len(names):
        raise ValueError(
            f"{root / TABLE}: image runs from {image.min()} to {image.max()} but there are {len(names)} names"
        )
    paths = tuple(root / "images" / name for name in names)
    for i, path in enumerate(paths):
        if not path.is_file():
            raise ValueError(f"{root / TABLE}: names {names[i]}, but there is no {path}")
    ranked = np.lexsort((columns["order"], columns["subject"], image))
    starts = np.searchsorted(image[ranked], np.arange(len(names) + 1))
    found = []
    for i, name in enumerate(names):
        rows = ranked[starts[i] : starts[i + 1]]
        if not len(rows):
            raise ValueError(f"{root / TABLE}: nobody looked at {name}; leave it out of names")
        found.append(Fixations(**{column: columns[column][rows] for column in COLUMNS}))
    return GazeSet(paths, tuple(found))


def _read_table(path: Path) -> tuple[dict[str, np.ndarray], list[str], np.ndarray]:
    if not path.is_file():
        raise ValueError(f"{path.parent}: no {TABLE}; give the folder that holds {TABLE} and images/")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # a broken archive meets almost any exception
        raise ValueError(f"{path}: cannot be read as an npz of plain arrays ({error})") from error
    if missing := [name for name in ("names", "image", *COLUMNS) if name not in arrays]:
        raise ValueError(f"{path}: lacks {', '.join(missing)}; it needs names, image, {', '.join(COLUMNS)}")
    names, image = arrays["names"], arrays["image"]
    if names.ndim != 1 or names.dtype.kind != "U" or image.dtype.kind not in "iu":
        raise ValueError(f"{path}: names must be texts and image whole numbers, got {names.dtype} and {image.dtype}")
    shapes = {name: arrays[name].shape for name in ("image", *COLUMNS)}
    if len(set(shapes.values())) > 1 or image.ndim != 1:
        raise ValueError(f"{path}: expected one entry a fixation in each array, got shapes {shapes}")
    columns = {
        name: arrays[name].astype(float if name.endswith(("_px", "_ms")) else np.int64, copy=False) for name in COLUMNS
    }
    for name in ("y_px", "x_px", "duration_ms"):
        if not (np.isfinite(columns[name]).all() and (columns[name] >= 0).all()):
            raise ValueError(f"{path}: {name} holds values below 0 or not finite; drop these fixations")
    return columns, [str(name) for name in names], image.astype(np.int64)
