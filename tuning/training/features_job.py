"""Fit the projection of a backbone on photographs, and put it where ``--features NAME`` finds it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ciliary.cortex.cues.base import ProviderUnavailable, UnknownBackbone
from ciliary.cortex.cues.fitting import SIZES_PX, fit_projection
from ciliary.cortex.cues.models import make_network
from ciliary.cortex.cues.projection import PACKAGED, find_projection, projection_to_bytes
from ciliary.cortex.device import choose_device
from ciliary.envs.data.images import open_images
from ciliary.envs.data.reading import Photograph, UnreadableImage
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.training.options import FeaturesTraining

COMMAND = "train_features"


def run(settings: FeaturesTraining) -> int:
    """Fit and write; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 130 stopped.
    """
    if not settings.name:
        complain(COMMAND, "expected the name of a model, such as resnet50 (see --help)")
        return USAGE
    try:
        path, about = fit(settings)
    except UnknownBackbone as error:
        complain(COMMAND, error)
        return USAGE
    except KeyboardInterrupt:
        complain(COMMAND, "stopped; nothing was written")
        return STOPPED
    except (ProviderUnavailable, UnreadableImage, ValueError, OSError) as error:
        complain(COMMAND, error)
        return NOTHING
    if not settings.is_quiet:
        print(f"projection {path}, of {about['photographs']} photographs in {about['views']} views")
    return ALL_WELL


def fit(settings: FeaturesTraining) -> tuple[Path, dict[str, Any]]:
    """The projection's file, and what it says of where it comes from.

    Raises:
        ProviderUnavailable, UnreadableImage, ValueError, OSError: as they are.
    """
    s = settings
    if s.name == PACKAGED and s.features_weights is None and s.out is None:
        raise ValueError(f"{s.name} comes fitted; give --out FILE, or other weights with --features-weights FILE")
    network = make_network(s.name, s.features_weights).to(choose_device(s.device))
    path = s.out or find_projection(s.name, s.features_weights)
    photographs = open_images(list(s.images), max(SIZES_PX))
    about = {
        "model": s.name,
        "weights": "the hub's" if s.features_weights is None else Path(s.features_weights).name,
        "images": ", ".join(Path(image).name for image in s.images),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "timm": metadata.version("timm"),
        "torch": torch.__version__,
    }
    with Bar(len(photographs), title="photographs", is_quiet=s.is_quiet) as bar:
        projection = fit_projection(network, _pixels(photographs, bar), about=about)
    write_atomically(path, projection_to_bytes(projection))
    return path, dict(projection.about)


def _pixels(photographs: Sequence[Photograph], bar: Bar) -> Iterator[Tensor]:
    for i in range(len(photographs)):
        try:
            yield photographs[i].image
        except UnreadableImage as error:  # one bad photograph must not cost the others
            complain(COMMAND, error)
        bar.advance()
