"""What is learned from of a labelled image: places, regions, and what people say of them, at a size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex import Cortex, default_theta
from ciliary.cortex.stages.m1_taught import code_inputs
from ciliary.envs.data.labelled import LabelledImage, LabelledSet, read_bsds, read_labelled_folder
from ciliary.envs.episode import resize
from ciliary.tuning.training.contours.codes import CodeScene
from ciliary.tuning.training.contours.merges import Scene, people_of, scene_of
from ciliary.tuning.training.contours.pool import Augmentation, edges_of, perhaps_disturbed

TrunkMaps = Callable[[Tensor], tuple[Tensor, ...]]


def read_labelled(root: Path) -> LabelledSet:
    """BSDS500's training images where the folder is that data set, else a folder of images and label maps."""
    return read_bsds(root, "train") if (root / "groundTruth").is_dir() else read_labelled_folder(root)


@torch.no_grad()
def seen_scene(cortex: Cortex, one: Any, size_px: int) -> tuple[Scene, Tensor, int]:
    """What merging sees of a labelled image whose long side is ``size_px``, what people say of its basins, how many."""
    image, theta = resize(one.image, size_px=size_px)[None].to(cortex.device), default_theta(1, cortex.device)
    h, w = image.shape[-2:]
    m1 = cortex.m1(cortex.retina(image, theta), cortex.cues(image), theta)
    scene = scene_of(m1, cortex.m2(m1, theta), theta)
    return scene, people_of(scene.basins, resampled(one.segmentations, (h, w))), len(one.segmentations)


def resampled(maps: Sequence[np.ndarray], size: tuple[int, int]) -> list[np.ndarray]:
    """Label maps at another size, the nearest label."""
    rows, columns = ((2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(size, maps[0].shape, strict=True))
    return [one[rows[:, None], columns] for one in maps]


@torch.no_grad()
def seen_code(
    one: LabelledImage,
    size_px: int,
    trunk: TrunkMaps | None,
    how: Augmentation,
    *,
    seed: int,
    device: torch.device | str = "cpu",
) -> CodeScene:
    """What the code sees of an image, disturbed or not, and what people say of each of its places.

    Seen on ``device``, where the trunk lies, and kept on the CPU: scenes are many.
    """
    image = resize(one.image, size_px=size_px)[None]
    image = perhaps_disturbed(image, how, np.random.default_rng([seed, size_px])).to(device)
    theta = default_theta(1, image.device)
    inputs = code_inputs(edges_of(image, theta), () if trunk is None else trunk(image))[0].cpu()
    drawn = resampled(one.segmentations, (inputs.shape[-2], inputs.shape[-1]))
    return CodeScene(inputs, torch.from_numpy(np.stack(drawn).astype(np.int64)))
