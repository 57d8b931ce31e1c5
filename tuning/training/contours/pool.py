"""Samples for the contour network: people's drawings, seen at several sizes, turned, mirrored and disturbed.

What the network sees (retina, V1, M1) is computed once and kept in files that all folds read: on two cores it costs as
much as the learning itself. A sample's setting and disturbance are drawn with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.cues.depth import NoDepth
from ciliary.cortex.parameters import PARAMETERS, Theta
from ciliary.cortex.percept import Cues
from ciliary.cortex.stages.contour_net import N_FULL, N_HALF, contour_inputs
from ciliary.cortex.stages.m1_perception import Edges, find_edges
from ciliary.cortex.stages.retina import retina
from ciliary.envs.data.disturbances import DISTURBANCES, disturb
from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.metrics.boundaries import label_boundaries

#: Share of the people who see a contour from which it is one; fewer, but not none, is undecided (Liu et al. 2017).
MAJORITY = 0.4
NEAR_PX = 2  # within which people draw the same contour
UNDECIDED = 255
_N_TOGETHER = 8  # samples whose inputs are computed at once


@dataclass(frozen=True)
class Bucket:
    """Samples of one size: how many pixels, of images scaled to between ``low`` and ``high``, how many an image."""

    name: str
    height_px: int
    width_px: int
    low: float
    high: float
    n_each: int
    n_batch: int


#: Full size, 256 px and 192 px of a photograph of 481 px; batches have about as many pixels each.
BUCKETS = (
    Bucket("full", 288, 288, 0.9, 1.15, 12, 4),
    Bucket("middle", 160, 240, 0.5, 0.75, 8, 8),
    Bucket("small", 128, 192, 0.4, 0.5, 8, 12),
)


@dataclass(frozen=True)
class Augmentation:
    """How samples differ from the image that was drawn.

    Attributes:
        clean: share of samples that are not disturbed; the others have one of the eight at up to ``severity``.
        at_default: share under the default setting; the others ``spread`` around it, in u.
        turn_deg: half of the samples are turned by up to this.
    """

    clean: float = 0.5
    severity: float = 4.5
    at_default: float = 0.5
    spread: float = 0.25
    turn_deg: float = 20.0


@dataclass(frozen=True)
class Sample:
    """One view of a labelled image."""

    image: Tensor  # (3, h, w)
    target: np.ndarray  # (h, w) uint8, see targets()
    u: np.ndarray  # (P,)


def draw_sample(one: LabelledImage, bucket: Bucket, how: Augmentation, rng: np.random.Generator) -> Sample:
    """A view of the image: scaled, flipped, turned (mirrored beyond the border), disturbed, cropped, in that order."""
    scale = rng.uniform(bucket.low, bucket.high)
    image, labels = one.image[None], torch.from_numpy(np.stack(one.segmentations)).float()[None]
    if (image.shape[-2] > image.shape[-1]) != (bucket.height_px > bucket.width_px) or (
        bucket.height_px == bucket.width_px and rng.random() < 0.5
    ):
        image, labels = image.transpose(-1, -2), labels.transpose(-1, -2)
    size = [
        max(round(n * scale), m) for n, m in zip(image.shape[-2:], (bucket.height_px, bucket.width_px), strict=True)
    ]
    image = F.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)
    labels = F.interpolate(labels, size=size, mode="nearest-exact")
    axes = [axis for axis in (-1, -2) if rng.random() < 0.5]
    image, labels = image.flip(axes), labels.flip(axes)
    if rng.random() < 0.5:
        angle_rad = np.deg2rad(rng.uniform(-how.turn_deg, how.turn_deg))
        image, labels = _turn(image, angle_rad, "bilinear"), _turn(labels, angle_rad, "nearest")
    image = perhaps_disturbed(image.clamp(0, 1), how, rng)
    top, left = (int(rng.integers(n - m + 1)) for n, m in zip(size, (bucket.height_px, bucket.width_px), strict=True))
    rows, columns = slice(top, top + bucket.height_px), slice(left, left + bucket.width_px)
    u = PARAMETERS.default_unit()[0].numpy()
    if rng.random() >= how.at_default:
        u = np.clip(u + how.spread * rng.standard_normal(len(u)).astype(np.float32), -1, 1)
    return Sample(image[0, :, rows, columns].clamp(0, 1), targets(labels[0, :, rows, columns].numpy()), u)


def perhaps_disturbed(image: Tensor, how: Augmentation, rng: np.random.Generator) -> Tensor:
    """The images (B, 3, h, w), or what one of the disturbances makes of them."""
    if rng.random() < how.clean:
        return image
    kinds = tuple(DISTURBANCES)
    kind = kinds[rng.integers(len(kinds))]
    return disturb(image, kind, rng.uniform(0.5, how.severity), seed=int(rng.integers(2**31)))


def targets(labels: np.ndarray) -> np.ndarray:
    """What people's label maps (people, h, w) ask for, (h, w) uint8.

    People agree on a contour, seldom on its pixel. A contour is where somebody drew and MAJORITY of them drew within
    NEAR_PX: the share that did, in 200ths. UNDECIDED is all else that somebody drew, and what lies beside a line.
    """
    drawn = torch.from_numpy(np.stack([label_boundaries(one) for one in labels])).float()[None]
    near = F.max_pool2d(drawn, 2 * NEAR_PX + 1, 1, NEAR_PX)[0].mean(0).numpy()
    beside = F.max_pool2d(drawn, 3, 1, 1)[0].amax(0).numpy() > 0
    is_line = drawn[0].amax(0).numpy() > 0
    found = np.where(is_line & (near >= MAJORITY), np.round(200 * near), np.where(is_line | beside, UNDECIDED, 0))
    return found.astype(np.uint8)


@torch.no_grad()
def edges_of(images: Tensor, theta: Theta) -> Edges:
    """What M1 finds in images (B, 3, h, w) before it groups, by light alone."""
    return find_edges(retina(images, theta), Cues(NoDepth()(images), None), theta)


def inputs_of(images: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """What the network sees of images (B, 3, h, w) under settings (B, P): see ``contour_inputs``."""
    found = edges_of(images, PARAMETERS.from_unit(u.to(images.device)))
    return contour_inputs(found.features, found.boundary, found.energy)


class Pool:
    """Samples in files, one array a kind: ``full``, ``half``, ``target``, ``image`` and ``owner`` of each bucket."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.about = json.loads((root / "about.json").read_text(encoding="utf-8"))
        self.buckets = tuple(Bucket(**one) for one in self.about["buckets"])
        self.arrays = {b.name: _read(root, b.name) for b in self.buckets}

    def rows(self, bucket: Bucket, owners: Sequence[int]) -> np.ndarray:
        """Samples of a bucket that belong to these images."""
        return np.flatnonzero(np.isin(self.arrays[bucket.name]["owner"], owners))


@torch.no_grad()
def add_trunk(
    root: Path,
    trunk: Callable[[Tensor], tuple[Tensor, ...]],
    *,
    device: torch.device | str = "cpu",
    on_batch: Callable[[], None] = lambda: None,
) -> None:
    """Write the trunk's maps of all samples beside them: ``trunk0``, ``trunk1``, ... of each bucket, fine to coarse.

    ``device`` is where the trunk lies.
    """
    for bucket in Pool(root).buckets:
        arrays = _read(root, bucket.name)
        if "trunk0" in arrays:
            continue
        image, parts = arrays["image"], []
        for start in range(0, len(image), _N_TOGETHER):
            some = torch.from_numpy(np.array(image[start : start + _N_TOGETHER])).to(device).float() / 255
            maps = trunk(some)
            if not start:
                shapes = [(len(image), *x.shape[1:]) for x in maps]
                files = [root / f"{bucket.name}_part{k}.npy" for k in range(len(maps))]
                parts = [
                    np.lib.format.open_memmap(file, mode="w+", shape=shape, dtype="float16")
                    for file, shape in zip(files, shapes, strict=True)
                ]
            for part, x in zip(parts, maps, strict=True):
                part[start : start + len(x)] = x.cpu().numpy()
            on_batch()
        for k, part in reversed(list(enumerate(parts))):  # trunk0 last: it says that all are there
            part.flush()
            (root / f"{bucket.name}_part{k}.npy").replace(root / f"{bucket.name}_trunk{k}.npy")


def _read(root: Path, bucket: str) -> dict[str, np.ndarray]:
    files = sorted(root.glob(f"{bucket}_*.npy"))
    return {file.stem.removeprefix(f"{bucket}_"): np.load(file, mmap_mode="r") for file in files}


def make_pool(
    images: Sequence[LabelledImage],
    root: Path,
    *,
    seed: int,
    buckets: Sequence[Bucket] = BUCKETS,
    how: Augmentation | None = None,
    device: torch.device | str = "cpu",
    on_image: Callable[[], None] = lambda: None,
) -> None:
    """Write the samples of all images to ``root``; those of one image depend on the seed and its place alone.

    They are drawn on the CPU, and seen on ``device``.
    """
    how = how or Augmentation()
    root.mkdir(parents=True, exist_ok=True)
    arrays = {b.name: _open(root, b, len(images)) for b in buckets}
    for i, one in enumerate(images):
        for k, bucket in enumerate(buckets):
            rng = np.random.default_rng([seed, i, k])
            samples = [draw_sample(one, bucket, how, rng) for _ in range(bucket.n_each)]
            first, into = i * bucket.n_each, arrays[bucket.name]
            for start in range(0, len(samples), _N_TOGETHER):
                some = samples[start : start + _N_TOGETHER]
                image = torch.stack([s.image for s in some])
                full, half = inputs_of(image.to(device), torch.from_numpy(np.stack([s.u for s in some])))
                rows = slice(first + start, first + start + len(some))
                into["full"][rows], into["half"][rows] = full.cpu().numpy(), half.cpu().numpy()
                into["target"][rows] = np.stack([s.target for s in some])
                into["image"][rows] = (255 * image).round().byte().numpy()
                into["owner"][rows] = i
        on_image()
    for into in arrays.values():
        for array in into.values():
            array.flush()
    about = {"seed": seed, "buckets": [asdict(b) for b in buckets], "how": asdict(how), "n_images": len(images)}
    (root / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _open(root: Path, b: Bucket, n_images: int) -> dict[str, np.memmap]:
    n, h, w = n_images * b.n_each, b.height_px, b.width_px
    shapes = {
        "full": (n, N_FULL, h, w),
        "half": (n, N_HALF, h // 2, w // 2),
        "target": (n, h, w),
        "image": (n, 3, h, w),
    }
    types = {"full": "float16", "half": "float16", "target": "uint8", "image": "uint8"}
    new = {k: (shape, types[k]) for k, shape in shapes.items()} | {"owner": ((n,), "int32")}
    return {
        k: np.lib.format.open_memmap(root / f"{b.name}_{k}.npy", mode="w+", shape=shape, dtype=dtype)
        for k, (shape, dtype) in new.items()
    }


def _turn(x: Tensor, angle_rad: float, mode: str) -> Tensor:
    h, w = x.shape[-2:]
    c, s = float(np.cos(angle_rad)), float(np.sin(angle_rad))
    # in pixels, then in the units of grid_sample: the image need not be square
    matrix = torch.tensor([[[c, -s * h / w, 0.0], [s * w / h, c, 0.0]]])
    grid = F.affine_grid(matrix, [1, 1, h, w], align_corners=False)
    return F.grid_sample(x, grid, mode=mode, padding_mode="reflection", align_corners=False)
