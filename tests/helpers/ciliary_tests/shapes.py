"""Data sets of coloured shapes, small enough to be perceived in a second, in each of the layouts that can be read."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import torch
from PIL import Image

from ciliary.cortex.stages.table import LEARNED_STAGES
from ciliary.cortex.stages.weights import stages_to_bytes

CLASSES = ("blue_bar", "green_ring", "red_disc")
SIDE_PX = 48
_COLOURS = np.array([[40, 70, 220], [40, 190, 60], [220, 50, 40]])


def draw(i_class, rng, side_px=SIDE_PX):
    """(H, W, 3) uint8: a bar, ring or disc of its colour, somewhere on grey, with grain."""
    y, x = np.mgrid[:side_px, :side_px] - side_px / 2
    y, x = (axis - rng.uniform(-0.12, 0.12) * side_px for axis in (y, x))
    radius = np.hypot(y, x) / side_px
    is_shape = [np.abs(y) < 0.12 * side_px, np.abs(radius - 0.24) < 0.08, radius < 0.26][i_class]
    page = np.where(is_shape[..., None], _COLOURS[i_class], rng.uniform(100, 150))
    return np.clip(page + rng.normal(0, 4, page.shape), 0, 255).astype(np.uint8)


def write_npz(path, n_train=6, n_test=4, side_px=SIDE_PX, seed=0):
    """As the subset of CIFAR-10: classes in turn."""
    rng = np.random.default_rng(seed)
    halves = {}
    for half, n in (("train", n_train), ("test", n_test)):
        labels = np.arange(n * len(CLASSES)) % len(CLASSES)
        halves[f"{half}_images"] = np.stack([draw(i, rng, side_px) for i in labels])
        halves[f"{half}_labels"] = labels
    np.savez(path, classes=np.array(CLASSES), **halves)
    return path


def write_folders(root, n_train=3, n_test=2, halves=("train", "val"), size=(60, 80)):
    """As the subset of Imagenette: photographs wider than high, a folder a class."""
    rng = np.random.default_rng(1)
    for half, n in zip(halves, (n_train, n_test), strict=False):
        for i_class, name in enumerate(CLASSES):
            folder = root / half / name
            folder.mkdir(parents=True)
            for i in range(n):
                picture = Image.fromarray(draw(i_class, rng, size[0]))
                picture.resize(size[::-1]).save(folder / f"{i}.png")
    return root


def write_runs(path, n_runs=2, n_ways=3, side_px=105):
    """As Omniglot's runs: character i is i + 1 upright strokes; the test comes in another order than the training."""
    rng = np.random.default_rng(2)
    with zipfile.ZipFile(path, "w") as file:
        for run in range(1, n_runs + 1):
            order = np.roll(np.arange(n_ways), run)
            lines = []
            for item, i_class in enumerate(order):
                names = f"run{run:02}/test/item{item + 1:02}.png", f"run{run:02}/training/class{i_class + 1:02}.png"
                lines.append(" ".join(names))
                for name in names:
                    file.writestr(name, _strokes(i_class + 1, rng, side_px))
            file.writestr(f"run{run:02}/class_labels.txt", "\n".join(lines) + "\n")
    return path


def write_weights(path):
    """A learned cortex that has learned nothing."""
    torch.manual_seed(0)
    path.write_bytes(stages_to_bytes({name: stage() for name, stage in LEARNED_STAGES.items()}, {}))
    return path


def _strokes(n, rng, side_px):
    page = np.ones((side_px, side_px), bool)
    for i in range(n):
        left = int((i + 1) * side_px / (n + 1) + rng.integers(-3, 4))
        page[15 : side_px - 15, left : left + 4] = False
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "PNG")
    return buffer.getvalue()
