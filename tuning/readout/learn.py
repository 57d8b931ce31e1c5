"""From labelled images to readouts and the table of what they are worth: the work behind the command."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex import Cortex
from ciliary.envs.data.disturbances import parse_disturbance
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.readout.data import Census, Example, Examples, class_weights, count_values, take_census
from ciliary.tuning.readout.exam import Answer, mean_dice, score
from ciliary.tuning.readout.fields import CortexFields, FieldStore, Seer, blurred, pixels
from ciliary.tuning.readout.fit import Epoch, FitSettings, Fitted, fit
from ciliary.tuning.readout.looks import Looking, Reader, choose, draw_looks, fields_of_look
from ciliary.tuning.readout.models import Readout, make_head, make_unet, probabilities
from ciliary.tuning.readout.settings import ReadoutSettings
from ciliary.tuning.readout.split import Split, check_split, split_blocks, split_images

MAJORITY = "majority class"
_VALIDATION_SEED, _TEST_SEED = 20_000, 10_000  # of disturbances: no test image's noise was met before


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model to learn: what it is called, what it reads, how it is made, at which rate."""

    name: str
    see: Seer
    make: Callable[[], Readout]
    rate: float
    head: str = ""  # of the cortex's own: its kind


@dataclass(frozen=True, eq=False)
class Data:
    """Images that can be read, what is in them, and which are for what."""

    examples: Examples
    rows: tuple[int, ...]  # of those that could be read
    census: Census
    split: Split  # into rows

    def __getitem__(self, i: int) -> Example:
        return self.examples[self.rows[i]]

    def target(self, example: Example) -> np.ndarray:
        """Its classes (H, W)."""
        return self.census.classes.of(example.values)


def take_stock(
    settings: ReadoutSettings, examples: Examples, *, say: Callable[[str, Exception], None], on_step: Callable[[], None]
) -> Data:
    """Read every image once, count its classes, then split.

    Args:
        settings: which classes, how to split.
        examples: the images.
        say: is told of each image that cannot be read, by name; it is left out.
        on_step: called after each image.

    Raises:
        ValueError: they cannot be split so, with what to do.
    """
    counted, rows = [], []
    for i, name in enumerate(examples.names):
        try:
            counted.append((name, count_values(examples[i].values)))
            rows.append(i)
        except (ValueError, OSError) as error:  # one broken image must not cost the others
            say(name, error)
        on_step()
    if not counted:
        raise ValueError("expected labelled images, got none that can be read")
    s = settings
    census = take_census(counted, is_foreground=s.classes == "foreground", void=s.void)
    if s.split == "blocks":
        split = split_blocks(len(rows), validation=s.validation, test=s.test, gap=s.gap)
    else:
        split = split_images(len(rows), validation=s.validation, test=s.test, seed=s.seed)
    split = split.few(s.n_train)
    check_split(split, census)
    return Data(examples, tuple(rows), census, split)


def candidates(settings: ReadoutSettings, cortex: Cortex, n_classes: int) -> list[Candidate]:
    """The cortex's heads, then what stands beside them."""
    see = CortexFields(cortex, settings.is_oriented, settings.fields)
    n_own = see(torch.full((1, 3, 64, 64), 0.5)).shape[1]
    n_blurs = blurred(torch.zeros(1, 3, 32, 32)).shape[1]
    found = [
        Candidate(f"cortex, {head}", see, partial(make_head, head, n_own, n_classes), rate_of(head), head)
        for head in dict.fromkeys(settings.heads)
    ]
    for name in dict.fromkeys(settings.beside):
        if name == "unet":
            make_unet(n_classes, encoder=settings.encoder)  # says now, not after the others, if there is none
            make = partial(make_unet, n_classes, encoder=settings.encoder)
            found.append(Candidate(f"U-Net {settings.encoder}", pixels, make, rate_of("unet")))
        else:
            head = "linear" if name == "blurs" else "conv"
            make = partial(make_head, head, n_blurs, n_classes)
            found.append(Candidate(f"image and blurs, {head}", blurred, make, rate_of(head)))
    return found


def rate_of(kind: str) -> float:
    """The rate a kind of model begins with; it is halved where validation stands still."""
    return {"linear": 3e-2, "conv": 3e-3, "unet": 1e-3}[kind]


def learn(
    data: Data,
    asked: Sequence[Candidate],
    settings: ReadoutSettings,
    *,
    folder: Path,
    device: torch.device,
    on_epoch: Callable[[str, Epoch], None],
    check: Callable[[], None],
) -> dict[str, Fitted]:
    """Fit every candidate on the same split, by the same loss, on the same crops, with the same stopping.

    Args:
        data: images and split.
        asked: the models.
        settings: how.
        folder: where fields lie meanwhile.
        device: where models learn.
        on_epoch: called with the name of the model and its losses.
        check: may raise to stop.
    """
    how = FitSettings(loss=settings.loss, n_epochs=settings.n_epochs, seed=settings.seed)
    weights = torch.from_numpy(class_weights(data.census, data.split.train))
    fitted: dict[str, Fitted] = {}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fields") as place:
        stores: dict[Seer, FieldStore] = {}
        for one in asked:
            if one.see not in stores:
                stores[one.see] = _store(data, one, Path(place) / str(len(stores)), settings, check)
            is_turned = not (settings.is_oriented and one.head)  # turned, an orientation is another field
            own = replace(how, rate=one.rate, is_turned=is_turned)
            with Bar(own.n_epochs * own.n_steps, title=one.name, is_quiet=settings.is_quiet) as bar:

                def on_step(bar: Bar = bar) -> None:
                    bar.advance()
                    check()

                def told(epoch: Epoch, model: Readout, bar: Bar = bar, name: str = one.name) -> None:
                    bar.move(note=f"{settings.loss} {epoch.validation:.3f}")
                    on_epoch(name, epoch)

                fitted[one.name] = fit(
                    one.make, stores[one.see], data.split, own,
                    weights=weights, device=device, on_step=on_step, on_epoch=told,
                )  # fmt: skip
    return fitted


def _store(
    data: Data, one: Candidate, folder: Path, settings: ReadoutSettings, check: Callable[[], None]
) -> FieldStore:
    store = FieldStore(folder)
    rows = sorted({*data.split.train, *data.split.validation})
    with Bar(len(rows), title="fields", unit="images", is_quiet=settings.is_quiet) as bar:
        for i in rows:
            example = data[i]
            store.add(i, one.see(example.image[None])[0], data.target(example))
            if settings.n_taught > 1 and isinstance(one.see, CortexFields) and i in data.split.train:
                for u in draw_looks(one.see.cortex, settings.n_taught)[1:]:
                    store.add(i, _in_frame(fields_of_look(one.see, example.image, u), example), data.target(example))
                    check()
            bar.advance()
            check()
    return store


def _in_frame(fields: Tensor, example: Example) -> Tensor:
    size = (example.image.shape[-2], example.image.shape[-1])
    return fields[0] if fields.shape[-2:] == size else F.interpolate(fields, size, mode="bilinear")[0]


def readers(
    data: Data, fitted: Mapping[str, Fitted], asked: Sequence[Candidate], settings: ReadoutSettings,
    *, own: Candidate, check: Callable[[], None] = lambda: None,
) -> list[tuple[str, int, str, Reader]]:  # fmt: skip
    """Model, its number of weights, the way of reading, and what reads an image so; the kept head first."""
    found: list[tuple[str, int, str, Reader]] = []
    model = fitted[own.name].model
    assert isinstance(own.see, CortexFields)
    looking = Looking.of(own.see, model)
    n = model.n_weights
    ways: dict[str, tuple[str, Reader]] = {
        "default": ("default", looking.read),
        "looks": (f"{len(looking.u)} looks", lambda image: looking.read_all(image).mean(0)),
        "reflex": ("reflex", looking.read_settled),
    }
    if "chosen" in settings.ways:
        rows = _choose(data, looking, settings, check)
        some = replace(looking, u=looking.u[list(rows)])
        ways["chosen"] = (
            f"{len(rows)} chosen look" + "s" * (len(rows) > 1),
            lambda image: some.read_all(image).mean(0),
        )
    order = ["default", *(way for way in settings.ways if way != "default")]
    found += [(own.name, n, ways[way][0], ways[way][1]) for way in order]
    for one in asked:
        if one is not own:
            other = fitted[one.name].model
            found.append((one.name, other.n_weights, "default", partial(_read, one.see, other)))
    k, n_classes = int(data.census.pixels[list(data.split.train)].sum(0).argmax()), len(data.census.classes)
    found.append((MAJORITY, 0, "default", partial(_constant, k, n_classes)))
    return found


def _read(see: Seer, model: Readout, image: Tensor) -> Tensor:
    return probabilities(model, see(image[None]).to(model.mean.device))[0].cpu()


def _constant(k: int, n_classes: int, image: Tensor) -> Tensor:
    out = image.new_zeros(n_classes, *image.shape[-2:])
    out[k] = 1
    return out


def _choose(data: Data, looking: Looking, settings: ReadoutSettings, check: Callable[[], None]) -> tuple[int, ...]:
    n_classes = len(data.census.classes)
    found, drawn = [], []
    for text in settings.disturbances:
        kind = parse_disturbance(text)
        for i in data.split.validation:
            example = data[i]
            image = kind.apply(example.image[None], seed=_VALIDATION_SEED + i)[0]
            found.append(looking.read_all(image))
            drawn.append(data.target(example))
            check()
    return choose(found, drawn, partial(mean_dice, n_classes=n_classes))


def examine(
    data: Data, models: Sequence[tuple[str, int, str, Reader]], settings: ReadoutSettings,
    *, check: Callable[[], None],
) -> tuple[list[Answer], dict[str, list[np.ndarray]]]:  # fmt: skip
    """Scores of all models at the test images under every disturbance; and the maps found under the first.

    Maps are by model, or by way of reading where it is not the default.
    """
    n_classes = len(data.census.classes)
    answers: list[Answer] = []
    shown: dict[str, list[np.ndarray]] = {}
    total = len(settings.disturbances) * len(models) * len(data.split.test)
    with Bar(total, title="test", unit="maps", is_quiet=settings.is_quiet) as bar:
        for text in settings.disturbances:
            kind = parse_disturbance(text)
            tests = [data[i] for i in data.split.test]
            images = [
                kind.apply(one.image[None], seed=_TEST_SEED + i)[0]
                for i, one in zip(data.split.test, tests, strict=True)
            ]
            for name, n_weights, way, read in models:
                scores = []
                for image, one in zip(images, tests, strict=True):
                    found = read(image).argmax(0).numpy()
                    scores.append(score(found, data.target(one), n_classes))
                    if text == settings.disturbances[0]:
                        shown.setdefault(name if way == "default" else way, []).append(found)
                    bar.advance()
                    check()
                answers.append(Answer(name, n_weights, text, way, tuple(scores)))
    return answers, shown
