"""What an episode is about: which photograph, which disturbance, which views, all from one seeded generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.cortex.loading import did_you_mean
from ciliary.envs.data.disturbances import DISTURBANCES, Disturbance, parse_disturbance
from ciliary.envs.data.images import as_photograph, open_images
from ciliary.envs.data.reading import Photograph, fit_size
from ciliary.envs.data.sources import Source

#: ``None`` and "none" leave the image as it is; "fog" draws a severity from 1 to 5; "fog:3" has its own.
DisturbanceSpec = str | Disturbance | None
DisturbanceSampler = Sequence[DisturbanceSpec] | Callable[[np.random.Generator], DisturbanceSpec]

#: The clean image and each of the kinds, equally often.
ALL_DISTURBANCES: tuple[DisturbanceSpec, ...] = (None, *DISTURBANCES)

#: Keys that ``reset(options=...)`` knows.
OPTIONS = ("image", "disturbance", "normalise", "views_seed")


@dataclass(frozen=True)
class Episode:
    """One episode's question. The disturbance is the hidden context: it is never in the observation."""

    photograph: Photograph
    i_image: int  # in its source; -1 for a photograph that was handed in
    disturbance: Disturbance
    disturbance_seed: int
    views_seed: int
    is_normalised: bool
    image: Tensor  # (3, H, W) in [0, 1]: sized, disturbed, and stretched if is_normalised


class EpisodeSource:
    """Photographs to choose from and how they are shown; opened when first needed.

    Args:
        source: as :func:`ciliary.envs.data.sources.open_images` takes it.
        disturbances, size_px, shape_px: as :func:`draw_episode` takes them.
    """

    def __init__(
        self,
        source: Any,
        *,
        disturbances: DisturbanceSampler | str = (None,),
        size_px: int | None = None,
        shape_px: tuple[int, int] | None = None,
    ) -> None:
        self._source, self._disturbances = source, disturbances
        self._size_px, self._shape_px = size_px, shape_px

    @cached_property
    def photographs(self) -> Sequence[Photograph]:
        """The photographs, read one by one when they are asked for."""
        # a centre crop needs more than its own long side
        return open_images(self._source, self._size_px if self._shape_px is None else 2 * max(self._shape_px))

    def draw(self, rng: np.random.Generator, options: Mapping[str, Any]) -> Episode:
        """An episode; see :func:`draw_episode`. An image in the options may be anything that is one."""
        size = {"size_px": self._size_px, "shape_px": self._shape_px}
        return draw_episode(rng, self.photographs, options, disturbances=self._disturbances, **size)  # type: ignore[arg-type]


def check_options(options: Mapping[str, Any], *, known: Sequence[str]) -> None:
    """Raise ``ValueError`` naming the legal keys if ``options`` holds another."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"unknown reset option(s) {unknown}; choose from {', '.join(known)}")


def draw_episode(
    rng: np.random.Generator,
    photographs: Sequence[Photograph],
    options: Mapping[str, Any],
    *,
    disturbances: DisturbanceSampler | str = (None,),
    size_px: int | None = None,
    shape_px: tuple[int, int] | None = None,
) -> Episode:
    """Draw an episode; what ``options`` fixes is not left to chance.

    Every draw has its own stream, so that an option changes what it names and nothing else: the same generator state
    gives the same views and the same noise with and without ``normalise``.

    Args:
        rng: advanced by the same amount whatever the options.
        photographs: to choose from, uniformly.
        options: ``image``: an index, a name, a path or a Photograph · ``disturbance``: a spec, None for the clean
            image · ``normalise``: bool · ``views_seed``: int.
        disturbances: specs to choose from uniformly, ``"all"``, or a function of a generator that returns one.
        size_px: long side to shrink the photograph to; None keeps its size.
        shape_px: (height, width) that all images are centre-cropped and resized to, in place of ``size_px``.

    Raises:
        ValueError: for an unknown option, image or disturbance.
    """
    check_options(options, known=OPTIONS)
    rng_image, rng_kind, rng_noise, rng_views = rng.spawn(4)
    photograph, i_image = choose_photograph(
        photographs, options.get("image"), rng_image, size_px if shape_px is None else 2 * max(shape_px)
    )
    if "disturbance" in options:
        disturbance = as_disturbance(options["disturbance"], rng_kind)
    else:
        disturbance = draw_disturbance(disturbances, rng_kind)
    disturbance_seed = int(rng_noise.integers(2**31))
    views_seed = int(rng_views.integers(2**31)) if options.get("views_seed") is None else int(options["views_seed"])
    image = resize(photograph.image, size_px=size_px) if shape_px is None else crop(photograph.image, shape_px=shape_px)
    image = disturbance.apply(image[None], seed=disturbance_seed)[0]
    is_normalised = bool(options.get("normalise", False))
    image = stretch(image) if is_normalised else image
    return Episode(photograph, i_image, disturbance, disturbance_seed, views_seed, is_normalised, image)


def choose_photograph(
    photographs: Sequence[Photograph], wanted: Any, rng: np.random.Generator, long_side_px: int | None = None
) -> tuple[Photograph, int]:
    """The photograph wanted (an index, a name, a file, or an image itself), or one at random when None; and its index.

    A file is read at ``long_side_px``.

    Raises:
        ValueError: naming the legal indices or names.
    """
    if wanted is None:
        wanted = int(rng.integers(len(photographs)))
    if isinstance(wanted, Path):
        return as_photograph(wanted, long_side_px=long_side_px), -1
    if not isinstance(wanted, (str, int, np.integer)):
        return as_photograph(wanted), -1
    if isinstance(wanted, str):
        # a source knows its names before it has read anything
        names = list(photographs.names) if isinstance(photographs, Source) else [one.name for one in photographs]
        if wanted not in names and Path(wanted).is_file():
            return as_photograph(Path(wanted), long_side_px=long_side_px), -1
        if wanted not in names:
            raise ValueError(
                f"unknown image {wanted!r}{did_you_mean(wanted, names)}; choose from {', '.join(names)}, hand in the "
                f"path of a file or an image, or give images to the environment: gym.make(..., source={wanted!r})"
            )
        wanted = names.index(wanted)
    i_image = int(wanted)
    if not 0 <= i_image < len(photographs):
        raise ValueError(f"expected an image index in 0..{len(photographs) - 1}, got {i_image}")
    return photographs[i_image], i_image


def draw_disturbance(disturbances: DisturbanceSampler | str, rng: np.random.Generator) -> Disturbance:
    """One of the specs, uniformly, or the sampler's own choice; a text is ``all``, or one spec."""
    if isinstance(disturbances, str):
        disturbances = ALL_DISTURBANCES if disturbances == "all" else (disturbances,)
    if callable(disturbances):
        return as_disturbance(disturbances(rng), rng)
    return as_disturbance(disturbances[int(rng.integers(len(disturbances)))], rng)


def as_disturbance(spec: DisturbanceSpec, rng: np.random.Generator) -> Disturbance:
    """A spec as a :class:`Disturbance`; a kind without a severity draws one of 1 to 5. ``ValueError`` if unknown."""
    if spec is None:
        return Disturbance()
    if isinstance(spec, Disturbance):
        return spec
    if spec in DISTURBANCES:
        return Disturbance(spec, float(rng.integers(1, 6)))
    return parse_disturbance(spec)


def resize(image: Tensor, *, size_px: int | None) -> Tensor:
    """Image (3, H, W) with its long side shrunk to ``size_px``, both sides kept at 32 px or more."""
    height, width = image.shape[-2:]
    return _resample(image, fit_size((height, width), size_px))


def crop(image: Tensor, *, shape_px: tuple[int, int]) -> Tensor:
    """Image (3, H, W) as the largest centred piece of the aspect of ``shape_px``, resampled to (height, width)."""
    height, width = image.shape[-2:]
    scale = min(height / shape_px[0], width / shape_px[1])
    h, w = max(1, round(shape_px[0] * scale)), max(1, round(shape_px[1] * scale))
    top, left = (height - h) // 2, (width - w) // 2
    return _resample(image[:, top : top + h, left : left + w], shape_px)


def stretch(image: Tensor, *, low: float = 0.01, high: float = 0.99) -> Tensor:
    """Image (3, H, W) stretched so that two quantiles of all its values become 0 and 1, and clipped.

    One affine map for all channels (as in the trivial control of contrast), so hues keep their order.
    """
    values = image.double().numpy()
    bottom, top = np.quantile(values, [low, high])
    if top - bottom < 1e-6:
        return image
    return torch.from_numpy((values - bottom) / (top - bottom)).clamp(0, 1).to(image.dtype)


def _resample(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    out = F.interpolate(image[None], size=size, mode="bilinear", antialias=True, align_corners=False)
    return out[0].clamp(0, 1)
