"""The job: people's drawings in, inherited stages out, with provenance. Each part is kept, so that it can go on."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ciliary.cortex import Cortex
from ciliary.cortex.cues import make_backbone
from ciliary.cortex.stages.inherited import TRUNK, TRUNK_WIDTHS, make_inherited
from ciliary.cortex.stages.m2_taught import TaughtM2
from ciliary.cortex.stages.weights import stages_to_bytes
from ciliary.envs.data.labelled import LabelledSet, read_bsds, read_labelled_folder
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.training.contours.learn import learn
from ciliary.tuning.training.contours.merges import Scene, default_theta, learn_cost, people_of, scene_of
from ciliary.tuning.training.contours.pool import Pool, add_trunk, make_pool
from ciliary.tuning.training.contours.settings import TeachingSettings
from ciliary.tuning.training.curves import claim

ALL = -1  # the network that is taught on all images, beside those that leave a fold out


def teach(settings: TeachingSettings, *, is_quiet: bool = False) -> Path:
    """Teach, or go on with a teaching that was stopped, or is done; returns ``out/inherited_<kind>.safetensors``.

    Raises:
        ValueError: no labelled images, or the folder holds another teaching.
        Stopped: by SIGINT or SIGTERM, after a checkpoint.
    """
    images, out = read_labelled(settings.labelled), settings.out
    if len(images) < settings.n_folds:
        raise ValueError(
            f"{settings.labelled}: expected at least {settings.n_folds} images, one a fold, got {len(images)}"
        )
    about = settings.about() | {"n_images": len(images), "images": sorted(images.digests.values())[:3]}
    claim(out, about)
    path = out / f"inherited_{settings.kind}.safetensors"
    if path.is_file():
        return path
    with Stopper() as stopper:
        pool = _pool(images, settings, stopper, is_quiet=is_quiet)
        nets = {k: _contours(pool, k, len(images), settings, stopper, is_quiet=is_quiet) for k in folds(settings)}
        scenes: list[tuple[Scene, Tensor, int]] = []
        with Bar(len(images), title="regions ", is_quiet=is_quiet) as bar:
            for i, one in enumerate(images):
                net = nets[i % settings.n_folds]
                cortex = cortex_with(net, settings.kind)
                scenes += [seen_scene(cortex, one, size_px) for size_px in settings.merge_sizes_px]
                stopper.check()
                bar.advance()
        cost = learn_cost(scenes, seed=settings.seed)
    stages: dict[str, Any] = make_inherited(settings.kind)
    stages["m2"] = nets[ALL]
    for name in ("m3", "m4"):
        stages[name].cost.load_state_dict(cost.state_dict())
    about |= {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "labels": f"people's segmentations of {len(images)} images of {settings.labelled.name}",
    }
    return write_atomically(path, stages_to_bytes(halved(stages), about))


def folds(settings: TeachingSettings) -> range:
    """ALL, and one less than that many folds from 0."""
    return range(ALL, settings.n_folds)


def read_labelled(root: Path) -> LabelledSet:
    """BSDS500's training images where the folder is that data set, else a folder of images and label maps."""
    return read_bsds(root, "train") if (root / "groundTruth").is_dir() else read_labelled_folder(root)


def cortex_with(m2: nn.Module, kind: str) -> Cortex:
    """The mathematical cortex with these contours; with the trunk, where they see it."""
    return Cortex(features=TRUNK if kind == "all" else "none", m2=m2).requires_grad_(False)


@torch.no_grad()
def seen_scene(cortex: Cortex, one: Any, size_px: int) -> tuple[Scene, Tensor, int]:
    """What merging sees of a labelled image whose long side is ``size_px``, what people say of its basins, how many."""
    image, theta = shrunk(one.image[None], size_px), default_theta()
    h, w = image.shape[-2:]
    m1 = cortex.m1(cortex.retina(image, theta), cortex.cues(image), theta)
    scene = scene_of(m1, cortex.m2(m1, theta), theta)
    rows, columns = (np.arange(n) * m // n for n, m in zip((h, w), one.size, strict=True))
    maps = [drawn[rows[:, None], columns] for drawn in one.segmentations]
    return scene, people_of(scene.basins, maps), len(maps)


def shrunk(image: Tensor, size_px: int) -> Tensor:
    """(B, 3, H, W) with a long side of ``size_px``; never enlarged."""
    h, w = image.shape[-2:]
    scale = size_px / max(h, w)
    if scale >= 1:
        return image
    size = (round(h * scale), round(w * scale))
    return F.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def halved(stages: dict[str, Any]) -> dict[str, Any]:
    """The stages with weights of 16 bits: half the file, and nothing that could be measured."""
    return {name: stage.half() for name, stage in stages.items()}


def _pool(images: LabelledSet, settings: TeachingSettings, stopper: Stopper, *, is_quiet: bool) -> Pool:
    root = settings.out / "pool"
    if not (root / "about.json").is_file():
        with Bar(len(images), title="samples ", is_quiet=is_quiet) as bar:
            make_pool(images, root, seed=settings.seed, how=settings.augmentation, on_image=_tell(stopper, bar))
    if settings.kind == "all":
        trunk = make_backbone(TRUNK)
        assert trunk is not None
        with Bar(None, title="trunk   ", is_quiet=is_quiet) as bar:
            add_trunk(root, trunk.maps, on_batch=_tell(stopper, bar))
    return Pool(root)


def _contours(
    pool: Pool, fold: int, n_images: int, settings: TeachingSettings, stopper: Stopper, *, is_quiet: bool
) -> TaughtM2:
    """The contours taught on all images but those of a fold."""
    widths = TRUNK_WIDTHS if settings.kind == "all" else ()
    stage, name = TaughtM2(widths), "all" if fold == ALL else f"without_{fold}"
    path, checkpoint = (settings.out / f"{settings.kind}_{name}.{kind}" for kind in ("safetensors", "pt"))
    if path.is_file():
        stage.load_state_dict(load_file(path))
        return stage.eval().requires_grad_(False)
    owners = [i for i in range(n_images) if fold == ALL or i % settings.n_folds != fold]
    with Bar(settings.learning.n_steps, title=f"contours, {name}", is_quiet=is_quiet) as bar:

        def on_step(step: int, loss: float) -> None:
            bar.move(step, note=f"loss {loss:.3f}")
            stopper.check()

        stage.net = learn(
            pool, owners, settings.learning, trunk_channels=widths, checkpoint=checkpoint, on_step=on_step
        )
    save_file(stage.state_dict(), path)
    checkpoint.unlink(missing_ok=True)
    return stage.eval().requires_grad_(False)


def _tell(stopper: Stopper, bar: Bar) -> Callable[[], None]:
    def told() -> None:
        bar.advance()
        stopper.check()

    return told
