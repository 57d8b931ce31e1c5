"""A folder of people's fixations whose photographs show where they look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ciliary.envs.data.gaze import is_to_choose


def write_gazed(
    root: Path, *, n_choose: int = 4, n_tell: int = 4, n_people: int = 3, size: tuple[int, int] = (96, 128)
) -> Path:
    """Grey photographs with one checkered patch, off the centre, that ``n_people`` look at: images and the table."""
    rng = np.random.default_rng(0)
    names, want = [], {True: n_choose, False: n_tell}
    for number in range(200):
        name = f"{number:03d}.png"
        if want[is_to_choose(name[:-4])]:
            want[is_to_choose(name[:-4])] -= 1
            names.append(name)
    (root / "images").mkdir(parents=True)
    columns: dict[str, list[float]] = {name: [] for name in ("image", "subject", "order", "y_px", "x_px")}
    for i, name in enumerate(names):
        y, x = rng.uniform(0.2, 0.8, 2) * size
        page = np.full((*size, 3), 120) + rng.integers(-6, 6, (*size, 3))
        patch = (slice(max(0, int(y) - 8), int(y) + 8), slice(max(0, int(x) - 8), int(x) + 8))
        rows, cells = np.mgrid[patch]
        page[patch] = np.where(((rows // 4 + cells // 4) % 2)[..., None], (230, 60, 40), (20, 30, 60))
        Image.fromarray(page.astype(np.uint8)).save(root / "images" / name)
        for subject in range(n_people):
            places = rng.normal((y, x), 4, (5, 2)).clip(1, np.array(size) - 2)
            for order, (down, right) in enumerate(places):
                for column, value in zip(columns, (i, subject, order, down, right), strict=True):
                    columns[column].append(value)
    arrays = {k: np.array(v, dtype=float if k.endswith("px") else np.int64) for k, v in columns.items()}
    durations = np.full(len(arrays["image"]), 250.0)
    np.savez(root / "fixations.npz", names=np.array(names), duration_ms=durations, **arrays)
    return root
