"""What numbers are put beside: a user's table, or what people did with photographs of a data set.

Of photographs that several people drew (BSDS500, or ``images/`` and ``labels/``): how far they agree. Of photographs
that people looked at (``fixations.npz``): how widely they looked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ciliary.envs.data.gaze import OSIE_PX_PER_DEG, TABLE, GazedImage, read_gaze
from ciliary.envs.data.labelled import LabelledImage, read_bsds, read_labelled_folder
from ciliary.envs.metrics.gaze import fixation_density
from ciliary.envs.metrics.gaze_baselines import PEOPLE_SIGMA_DEG, scaled
from ciliary.tuning.correlation.tables import Numbers, as_numbers, read_numbers
from ciliary.tuning.evaluation.people import agreement

_STRIDE = 2  # regions are compared on every second pixel of each axis
_CELL_PX = 8  # of the map whose entropy is told


def read_ratings(path: Path, *, on_image: Callable[[int, int], object] = lambda i, n: None) -> Numbers:
    """The ratings of a file or a folder.

    Args:
        path: CSV; or a folder of photographs with people's maps, or with fixations.
        on_image: told which of how many images of a folder is looked at.

    Raises:
        ValueError: it is none of these.
    """
    if not path.is_dir():
        return read_numbers(path)
    if (path / TABLE).is_file():
        gazed = read_gaze(path)
        return as_numbers({name: gaze_spread(gazed[i]) for i, name in _told(gazed.names, on_image)})
    is_bsds = (path / "groundTruth").is_dir()
    if not is_bsds and not (path / "labels").is_dir():
        raise ValueError(f"{path}: expected a CSV, a folder with groundTruth/ or labels/, or one with {TABLE}")
    drawn = read_bsds(path, "val") if is_bsds else read_labelled_folder(path)
    return as_numbers({name: people_agree(drawn[i]) for i, name in _told(drawn.names, on_image)})


def people_agree(image: LabelledImage) -> dict[str, float]:
    """``people_covering``: how far one person's regions cover another's, mean over pairs; and ``people_regions``.

    Raises:
        ValueError: fewer than two people.
    """
    found = agreement(image, stride=_STRIDE, with_boundaries=False)
    n_regions = [len(np.unique(one)) for one in image.segmentations]
    return {"people_covering": found.scores["covering"], "people_regions": float(np.mean(n_regions))}


def gaze_spread(image: GazedImage, *, px_per_deg: float = OSIE_PX_PER_DEG) -> dict[str, float]:
    """``gaze_entropy``: entropy in bits of where all people looked, smoothed by one degree; more is wider.

    It grows with the size of the photograph in degrees: compare photographs of one size.
    """
    height, width = image.image.shape[-2:]
    size = max(1, height // _CELL_PX), max(1, width // _CELL_PX)
    y, x = scaled(image.fixations, photograph=(height, width), size=size)
    density = fixation_density(y, x, size=size, sigma=PEOPLE_SIGMA_DEG * px_per_deg / _CELL_PX)
    share = density[density > 0] / density.sum()
    return {"gaze_entropy": float(-(share * np.log2(share)).sum())}


def _told(names: Sequence[str], on_image: Callable[[int, int], object]) -> Iterator[tuple[int, str]]:
    for i, name in enumerate(names):
        on_image(i, len(names))
        yield i, name
