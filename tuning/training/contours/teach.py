"""The job: people's drawings in, inherited stages out, with provenance. Each part is kept, so that it can go on."""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ciliary.cortex import Cortex
from ciliary.cortex.cues import make_backbone
from ciliary.cortex.device import choose_device
from ciliary.cortex.parameters import table_for
from ciliary.cortex.stages.contour_net import ContourNet
from ciliary.cortex.stages.inherited import TRUNK, TRUNK_WIDTHS, left_out_path, shipped
from ciliary.cortex.stages.m1_taught import TaughtM1
from ciliary.cortex.stages.m2_taught import TaughtM2
from ciliary.cortex.stages.m3_basins import BasinM3
from ciliary.cortex.stages.m4_basins import BasinM4
from ciliary.cortex.stages.merge_cost import MergeCost
from ciliary.cortex.stages.weights import stages_to_bytes
from ciliary.envs.data.labelled import LabelledSet
from ciliary.envs.episode import resize
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.training.contours.codes import CodeScene, learn_code
from ciliary.tuning.training.contours.learn import learn
from ciliary.tuning.training.contours.looks import read_labelled, resampled, seen_code, seen_scene
from ciliary.tuning.training.contours.merges import Scene, learn_cost
from ciliary.tuning.training.contours.objects import asked_objects, fit_objectness
from ciliary.tuning.training.contours.pool import Pool, add_trunk, make_pool
from ciliary.tuning.training.contours.settings import TeachingSettings
from ciliary.tuning.training.curves import claim

ALL = -1  # the network that is taught on all images, beside those that leave a fold out


def teach(settings: TeachingSettings, *, is_quiet: bool = False) -> Path:
    """Teach, or go on with a teaching that was stopped; returns the weights, ``out/inherited_<kind>.safetensors``.

    Beside them lie those that were taught without a fold (:func:`~ciliary.cortex.stages.inherited.left_out`): whatever
    is fitted later on the same images looks through them.

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
    if settings.begin is not None:
        about |= {"begun_from": _taught_before(settings.begin, about)}
    claim(out, about)
    weights = out / shipped(settings.kind).name
    if weights.is_file():
        return weights
    folds = range(settings.n_folds)
    with Stopper() as stopper:
        watch = Watch(stopper, is_quiet)
        pool = _pool(images, settings, watch)
        m2 = {k: _contours(pool, k, len(images), settings, watch) for k in (ALL, *folds)}
        m1 = _codes(images, settings, (ALL, *folds), watch)
        seers = [_cortex(settings, m1=m1[k], m2=m2[k]) for k in folds]
        m3, m4 = with_cost(_cost(images, seers, settings, watch))
        seers = [_cortex(settings, m1=m1[k], m2=m2[k], m3=m3, m4=m4) for k in folds]
        m4.objectness.load_state_dict(_objectness(images, seers, settings, watch))
    about |= {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "labels": f"people's segmentations of {len(images)} images of {settings.labelled.name}",
    }
    for k in folds:
        stages, unseen = {"m1": m1[k], "m2": m2[k], "m3": m3, "m4": m4}, list(images.names[k :: settings.n_folds])
        write_atomically(left_out_path(out, settings.kind, k), half_bytes(stages, about | {"left_out": unseen}))
    return write_atomically(weights, half_bytes({"m1": m1[ALL], "m2": m2[ALL], "m3": m3, "m4": m4}, about))


def _taught_before(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """What another teaching was told; ``ValueError`` unless it had the same images in the same folds."""
    path = folder / "training.json"
    if not path.is_file():
        raise ValueError(f"no teaching to go on from in {folder}")
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if any(before.get(name) != about[name] for name in ("images", "n_folds")):
        raise ValueError(f"{folder} taught other images or folds: what it kept apart is not what is kept apart here")
    return {name: before[name] for name in ("kind", "learning", "seed", "begun_from") if name in before}


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


def _cortex(settings: TeachingSettings, **stages: nn.Module) -> Cortex:
    features = TRUNK if settings.kind == "all" else "none"
    cortex = Cortex(features=features, **stages).requires_grad_(False)  # type: ignore[arg-type]
    return cortex.to(choose_device(settings.device))


def half_bytes(stages: Mapping[str, nn.Module], about: Mapping[str, Any]) -> bytes:
    """A file with weights of 16 bits: half the size, and nothing that could be measured."""
    return stages_to_bytes({name: copy.deepcopy(stage).half() for name, stage in stages.items()}, about)


def _widths(settings: TeachingSettings) -> tuple[int, ...]:
    return TRUNK_WIDTHS if settings.kind == "all" else ()


def _named(fold: int) -> str:
    return "all" if fold == ALL else f"without {fold}"


def _pool(images: LabelledSet, settings: TeachingSettings, watch: Watch) -> Pool:
    root, there = settings.out / "pool", choose_device(settings.device)
    if not (root / "about.json").is_file():
        with watch.bar("samples", len(images)) as told:
            make_pool(images, root, seed=settings.seed, how=settings.augmentation, device=there, on_image=told)
    if settings.kind == "all":
        with watch.bar("trunk", None) as told:
            add_trunk(root, _trunk(there).maps, device=there, on_batch=told)
    return Pool(root)


def _trunk(device: torch.device) -> Any:
    """The trunk that ``all`` is taught on."""
    trunk: Any = make_backbone(TRUNK)
    return trunk.to(device)


def _taught_on(n_images: int, fold: int, settings: TeachingSettings) -> list[int]:
    """The images that are not of a fold."""
    return [i for i in range(n_images) if fold == ALL or i % settings.n_folds != fold]


def _contours_path(folder: Path, kind: str, fold: int) -> Path:
    return folder / f"{kind}_contours_{_named(fold)}.safetensors"


def _begin(settings: TeachingSettings, fold: int) -> ContourNet | None:
    """The network that the contours of a fold go on from."""
    if settings.begin is None:
        return None
    path = _contours_path(settings.begin, "contours", fold)
    if not path.is_file():
        raise FileNotFoundError(f"no contours to go on from at {path}")
    stage = TaughtM2()
    stage.load_state_dict(load_file(path))
    return stage.net


def _contours(pool: Pool, fold: int, n_images: int, settings: TeachingSettings, watch: Watch) -> TaughtM2:
    """The contours taught on all images but those of a fold."""
    stage, how = TaughtM2(_widths(settings)), settings.learning if fold == ALL else settings.fold_learning
    path = _contours_path(settings.out, settings.kind, fold)
    if not path.is_file():
        checkpoint = path.with_suffix(".pt")
        with watch.bar(f"contours {_named(fold)}", how.n_steps) as told:
            stage.net = learn(
                pool,
                _taught_on(n_images, fold, settings),
                how,
                trunk_channels=_widths(settings),
                begin=_begin(settings, fold),
                checkpoint=checkpoint,
                device=choose_device(settings.device),
                on_step=partial(_tell_loss, told),
            )
        write_atomically(path, save(stage.state_dict()))
        checkpoint.unlink(missing_ok=True)
    stage.load_state_dict(load_file(path))
    return stage.eval().requires_grad_(False)


def _codes(
    images: LabelledSet, settings: TeachingSettings, folds: tuple[int, ...], watch: Watch
) -> dict[int, TaughtM1]:
    """M1's codes, each taught on all images but those of a fold."""
    stages = {fold: TaughtM1(_widths(settings)) for fold in folds}
    paths = {fold: settings.out / f"{settings.kind}_code_{_named(fold)}.safetensors" for fold in folds}
    if left := [fold for fold in folds if not paths[fold].is_file()]:
        there = choose_device(settings.device)
        trunk = _trunk(there).maps if settings.kind == "all" else None
        scenes: list[list[CodeScene]] = []
        with watch.bar("places", len(images)) as told:
            for i, one in enumerate(images):
                how = settings.augmentation
                scenes.append([seen_code(one, px, trunk, how, seed=i, device=there) for px in settings.sizes_px])
                told()
        for fold in left:
            own = [x for i in _taught_on(len(images), fold, settings) for x in scenes[i]]
            with watch.bar(f"code {_named(fold)}", settings.n_code_steps) as told:
                stages[fold].net = learn_code(
                    own,
                    trunk_channels=_widths(settings),
                    n_steps=settings.n_code_steps,
                    seed=settings.seed,
                    device=there,
                    on_step=partial(_tell_loss, told),
                )
            write_atomically(paths[fold], save(stages[fold].state_dict()))
    for fold, stage in stages.items():
        stage.load_state_dict(load_file(paths[fold]))
        stage.eval().requires_grad_(False)
    return stages


def _cost(images: LabelledSet, seers: list[Cortex], settings: TeachingSettings, watch: Watch) -> MergeCost:
    """The cost of merging, each image seen by the cortex of its fold."""
    scenes: list[tuple[Scene, Tensor, int]] = []
    with watch.bar("regions", len(images)) as told:
        for i, one in enumerate(images):
            scenes += [seen_scene(seers[i % len(seers)], one, size_px) for size_px in settings.sizes_px]
            told()
    return learn_cost(scenes, seed=settings.seed)


def _objectness(
    images: LabelledSet, seers: list[Cortex], settings: TeachingSettings, watch: Watch
) -> dict[str, Tensor]:
    """What M4 knows of objects, likewise."""
    rows, table = [], table_for(settings.kind)
    with watch.bar("objects", len(images)) as told:
        for i, one in enumerate(images):
            image = resize(one.image, size_px=settings.sizes_px[0])[None]
            drawn = resampled(one.segmentations, (image.shape[-2], image.shape[-1]))
            rows.append(asked_objects(seers[i % len(seers)], image, drawn, table=table, seed=i))
            told()
    evidence, is_object = (torch.cat(x) for x in zip(*rows, strict=True))
    return fit_objectness(evidence, is_object, seed=settings.seed).state_dict()
