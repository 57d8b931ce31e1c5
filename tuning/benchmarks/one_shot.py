"""Omniglot's official one-shot runs (Lake, Salakhutdinov & Tenenbaum 2015), read from their zip.

A run is a task of its own: one example of each of its characters in ``training``, and as many to name in ``test``.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from ciliary.tuning.benchmarks.pictures import NamedImages, Pictures, squared

RUNS_PX = 96  # 105 px as drawn
_RUN = re.compile(r"(?:^|/)(run\d+)/class_labels\.txt$")


def read_runs(path: Path, size_px: int) -> NamedImages:
    """The runs in a zip of ``runNN/training/*.png``, ``runNN/test/*.png`` and ``runNN/class_labels.txt``.

    Each line of ``class_labels.txt`` names a test image and the training image of the same character. Strokes stay as
    they are: dark on white.

    Raises:
        ValueError: another content.
    """
    try:
        with zipfile.ZipFile(path) as file:
            listings = sorted(name for name in file.namelist() if _RUN.search(name))
            if not listings:
                raise ValueError("no runNN/class_labels.txt in it")
            runs = [_read_run(file, listing, size_px) for listing in listings]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile, UnidentifiedImageError) as error:
        reason = str(error.args[0] if isinstance(error, KeyError) else error)
        raise ValueError(
            f"{path}: {reason}; expected a .zip of one-shot runs (runNN/training, runNN/test, runNN/class_labels.txt)"
        ) from error
    ways = {len(np.unique(train_labels)) for (_, train_labels), _ in runs}
    if len(ways) > 1:
        raise ValueError(f"{path}: expected runs of as many characters each, got {sorted(ways)}")
    train, test = (
        Pictures(
            torch.cat([run[half][0] for run in runs]),
            np.concatenate([run[half][1] for run in runs]),
            np.repeat(np.arange(len(runs)), [len(run[half][1]) for run in runs]),
        )
        for half in (0, 1)
    )
    classes = tuple(f"character {i + 1}" for i in range(ways.pop()))
    return NamedImages(f"{path.stem} ({len(runs)} one-shot runs)", classes, train, test, has_runs=True)


_Half = tuple[torch.Tensor, np.ndarray]


def _read_run(file: zipfile.ZipFile, listing: str, size_px: int) -> tuple[_Half, _Half]:
    """Training and test images (uint8) and labels of one run; labels in the order of the training files."""
    pairs = [line.split() for line in file.read(listing).decode().splitlines() if line.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{listing}: expected a test image and a training image on each line")
    prefix = listing[: _RUN.search(listing).start(1)]  # type: ignore[union-attr]
    training = sorted({example for _, example in pairs})
    label = {example: i for i, example in enumerate(training)}
    images = [
        torch.cat([squared(_read_png(file, prefix + name), size_px) for name in names])
        for names in (training, [query for query, _ in pairs])
    ]
    return (images[0], np.arange(len(training))), (images[1], np.array([label[example] for _, example in pairs]))


def _read_png(file: zipfile.ZipFile, name: str) -> torch.Tensor:
    """(1, 3, H, W) float32 in [0, 1]."""
    with Image.open(io.BytesIO(file.read(name))) as picture:
        grey = np.array(picture.convert("L"), dtype=np.float32) / 255
    return torch.from_numpy(grey).expand(1, 3, -1, -1)
