"""The job: people's drawings in, inherited stages out, with provenance. Each part is kept, so that it can go on."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ciliary.cortex import Cortex, default_theta
from ciliary.cortex.cues import make_backbone
from ciliary.cortex.parameters import table_for
from ciliary.cortex.stages.inherited import TRUNK, TRUNK_WIDTHS
from ciliary.cortex.stages.m1_taught import TaughtM1, code_inputs
from ciliary.cortex.stages.m2_taught import TaughtM2
from ciliary.cortex.stages.m3_basins import BasinM3
from ciliary.cortex.stages.m4_basins import BasinM4
from ciliary.cortex.stages.merge_cost import MergeCost
from ciliary.cortex.stages.weights import stages_to_bytes
from ciliary.envs.data.labelled import LabelledImage, LabelledSet, read_bsds, read_labelled_folder
from ciliary.envs.episode import resize
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.training.contours.codes import CodeScene, learn_code
from ciliary.tuning.training.contours.learn import learn
from ciliary.tuning.training.contours.merges import Scene, learn_cost, people_of, scene_of
from ciliary.tuning.training.contours.objects import asked_objects, fit_objectness
from ciliary.tuning.training.contours.pool import (
    Augmentation,
    Pool,
    add_trunk,
    edges_of,
    make_pool,
    perhaps_disturbed,
)
from ciliary.tuning.training.contours.settings import TeachingSettings
from ciliary.tuning.training.curves import claim

TrunkMaps = Callable[[Tensor], tuple[Tensor, ...]]
ALL = -1  # the network that is taught on all images, beside those that leave a fold out


def teach(settings: TeachingSettings, *, is_quiet: bool = False) -> Path:
    """Teach, or go on with a teaching that was stopped; returns the weights, ``out/inherited_<kind>.safetensors``.

    Raises:
        ValueError: no labelled images, or the folder holds another teaching.
        Stopped: by SIGINT or SIGTERM, after a checkpoint.
    """
    images, out = read_labelled(settings.labelled), settings.out
    if len(images) < settings.n_folds:
        raise ValueError(
            f"{settings.labelled}: expected at least {settings.n_folds} images, one a fold, got {len(images)}"
        )
    digest = hashlib.sha256("".join(images.digests.values()).encode()).hexdigest()[:16]
    about = settings.about() | {"n_images": len(images), "images": digest}
    claim(out, about)
    weights = out / f"inherited_{settings.kind}.safetensors"
    if weights.is_file():
        return weights
    with Stopper() as stopper:
        watch = Watch(stopper, is_quiet)
        pool = _pool(images, settings, watch)
        every = range(ALL, settings.n_folds)
        contours = {k: _contours(pool, k, len(images), settings, watch) for k in every}
        codes = _codes(images, settings, every, watch)

        def cortex(fold: int, m3: nn.Module | None = None, m4: nn.Module | None = None) -> Cortex:
            features = TRUNK if settings.kind == "all" else "none"
            made = Cortex(features=features, m1=codes[fold], m2=contours[fold], m3=m3, m4=m4)
            return made.requires_grad_(False)

        scenes: list[tuple[Scene, Tensor, int]] = []
        with watch.bar("regions", len(images)) as told:
            for i, one in enumerate(images):
                seer = cortex(i % settings.n_folds)
                scenes += [seen_scene(seer, one, size_px) for size_px in settings.sizes_px]
                told()
        cost = learn_cost(scenes, seed=settings.seed)
        (m3, m4), table = with_cost(cost), table_for(settings.kind)
        rows = []
        with watch.bar("objects", len(images)) as told:
            for i, one in enumerate(images):
                image = resize(one.image, size_px=settings.sizes_px[0])[None]
                size = (image.shape[-2], image.shape[-1])
                drawn = resampled(one.segmentations, size)
                rows.append(
                    asked_objects(cortex(i % settings.n_folds, m3=m3, m4=m4), image, drawn, table=table, seed=i)
                )
                told()
        evidence, is_object = (torch.cat(x) for x in zip(*rows, strict=True))
        m4.objectness.load_state_dict(fit_objectness(evidence, is_object, seed=settings.seed).state_dict())
    about |= {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "labels": f"people's segmentations of {len(images)} images of {settings.labelled.name}",
    }
    stages = {"m1": codes[ALL], "m2": contours[ALL], "m3": m3, "m4": m4}
    return write_atomically(weights, stages_to_bytes(halved(stages), about))


@dataclass(frozen=True)
class Watch:
    """How a long part tells how far it is, and hears that it is to stop."""

    stopper: Stopper
    is_quiet: bool

    @contextmanager
    def bar(self, title: str, total: int | None) -> Iterator[Callable[..., None]]:
        """A bar; call what it gives after each step, with a word if there is one."""
        with Bar(total, title=f"{title:<10}", is_quiet=self.is_quiet) as bar:

            def told(note: str = "") -> None:
                bar.advance()
                bar.move(note=note)
                self.stopper.check()

            yield told


def _tell_loss(told: Callable[..., None], step: int, loss: float) -> None:
    told(f"loss {loss:.3f}")


def with_cost(cost: MergeCost) -> tuple[BasinM3, BasinM4]:
    """M3 and M4 that merge by a cost."""
    m3, m4 = BasinM3().eval(), BasinM4().eval()
    for stage in (m3, m4):
        stage.cost.load_state_dict(cost.state_dict())
    return m3, m4


def read_labelled(root: Path) -> LabelledSet:
    """BSDS500's training images where the folder is that data set, else a folder of images and label maps."""
    return read_bsds(root, "train") if (root / "groundTruth").is_dir() else read_labelled_folder(root)


@torch.no_grad()
def seen_scene(cortex: Cortex, one: Any, size_px: int) -> tuple[Scene, Tensor, int]:
    """What merging sees of a labelled image whose long side is ``size_px``, what people say of its basins, how many."""
    image, theta = resize(one.image, size_px=size_px)[None], default_theta(1)
    h, w = image.shape[-2:]
    m1 = cortex.m1(cortex.retina(image, theta), cortex.cues(image), theta)
    scene = scene_of(m1, cortex.m2(m1, theta), theta)
    return scene, people_of(scene.basins, resampled(one.segmentations, (h, w))), len(one.segmentations)


def resampled(maps: Sequence[np.ndarray], size: tuple[int, int]) -> list[np.ndarray]:
    """Label maps at another size, the nearest label."""
    rows, columns = ((2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(size, maps[0].shape, strict=True))
    return [one[rows[:, None], columns] for one in maps]


def halved(stages: dict[str, Any]) -> dict[str, Any]:
    """The stages with weights of 16 bits: half the file, and nothing that could be measured."""
    return {name: stage.half() for name, stage in stages.items()}


def _pool(images: LabelledSet, settings: TeachingSettings, watch: Watch) -> Pool:
    root = settings.out / "pool"
    if not (root / "about.json").is_file():
        with watch.bar("samples", len(images)) as told:
            make_pool(images, root, seed=settings.seed, how=settings.augmentation, on_image=told)
    if settings.kind == "all":
        with watch.bar("trunk", None) as told:
            add_trunk(root, _trunk().maps, on_batch=told)
    return Pool(root)


def _contours(pool: Pool, fold: int, n_images: int, settings: TeachingSettings, watch: Watch) -> TaughtM2:
    """The contours taught on all images but those of a fold."""
    widths = TRUNK_WIDTHS if settings.kind == "all" else ()
    stage, name = TaughtM2(widths), f"{settings.kind}_contours_{_named(fold)}"
    path, checkpoint = settings.out / f"{name}.safetensors", settings.out / f"{name}.pt"
    if path.is_file():
        stage.load_state_dict(load_file(path))
        return stage.eval().requires_grad_(False)
    owners = [i for i in range(n_images) if fold == ALL or i % settings.n_folds != fold]
    with watch.bar(f"contours {_named(fold)}", settings.learning.n_steps) as told:
        stage.net = learn(
            pool,
            owners,
            settings.learning,
            trunk_channels=widths,
            checkpoint=checkpoint,
            on_step=partial(_tell_loss, told),
        )
    save_file(stage.state_dict(), path)
    checkpoint.unlink(missing_ok=True)
    return stage.eval().requires_grad_(False)


def _codes(images: LabelledSet, settings: TeachingSettings, every: range, watch: Watch) -> dict[int, TaughtM1]:
    """M1's code, taught on all images but those of a fold."""
    widths = TRUNK_WIDTHS if settings.kind == "all" else ()
    trunk = _trunk().maps if settings.kind == "all" else None
    scenes: list[list[CodeScene]] = []
    with watch.bar("places", len(images)) as told:
        for i, one in enumerate(images):
            scenes.append(
                [seen_code(one, size_px, trunk, settings.augmentation, seed=i) for size_px in settings.sizes_px]
            )
            told()
    stages = {}
    for fold in every:
        stages[fold] = TaughtM1(widths)
        own = [x for i, some in enumerate(scenes) for x in some if fold == ALL or i % settings.n_folds != fold]
        with watch.bar(f"code {_named(fold)}", settings.n_code_steps) as told:
            stages[fold].net = learn_code(
                own,
                trunk_channels=widths,
                n_steps=settings.n_code_steps,
                seed=settings.seed,
                on_step=partial(_tell_loss, told),
            )
    return stages


@torch.no_grad()
def seen_code(one: LabelledImage, size_px: int, trunk: TrunkMaps | None, how: Augmentation, *, seed: int) -> CodeScene:
    """What the code sees of an image, disturbed or not, and what people say of each of its places."""
    image = resize(one.image, size_px=size_px)[None]
    image = perhaps_disturbed(image, how, np.random.default_rng([seed, size_px]))
    inputs = code_inputs(edges_of(image, default_theta(1)), () if trunk is None else trunk(image))[0]
    drawn = resampled(one.segmentations, (inputs.shape[-2], inputs.shape[-1]))
    return CodeScene(inputs, torch.from_numpy(np.stack(drawn).astype(np.int64)))


def _trunk() -> Any:
    """The trunk that ``all`` is taught on."""
    return make_backbone(TRUNK)


def _named(fold: int) -> str:
    return "all" if fold == ALL else f"without {fold}"
