"""Peers: segmentations that everybody has, on the same images and in the same table as the cortex.

Each takes an image at its original size and gives a label map of that size. Settings are chosen on training
photographs by region covering, as the cortex's defaults are, and then frozen here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ciliary.cortex.segmenters.functions import (
    one_region,
    segment_felzenszwalb,
    segment_quickshift,
    segment_slic,
    segment_watershed,
)
from ciliary.cortex.segmenters.plain import segment_contours
from ciliary.envs.data.labelled import LabelledImage
from ciliary.envs.metrics.regions import People, region_covering

Settings = Mapping[str, float]


@dataclass(frozen=True)
class Peer:
    """One way to segment an image, the settings worth trying, and the ones in use."""

    segment: Callable[..., np.ndarray]  # (image (H, W, 3) float in [0, 1], **settings) -> (H, W) int64, 0 .. n - 1
    grid: Mapping[str, Sequence[float]]  # of each setting, the values tried
    chosen: Settings
    source: str

    def settings(self) -> Iterable[dict[str, float]]:
        """Every combination of the grid; one empty one when there is nothing to set."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))


# Settings in use: chosen on 30 BSDS500 training photographs (every sixth, in the order of their names) by region
# covering. None lies at an edge of its grid.
PEERS: Mapping[str, Peer] = {
    "one_region": Peer(one_region, {}, {}, "nothing known"),
    "felzenszwalb": Peer(
        segment_felzenszwalb,
        {"scale": (200, 400, 800), "min_size_px": (400, 800, 1600), "sigma_px": (0.8, 1.2, 1.6)},
        {"scale": 400, "min_size_px": 800, "sigma_px": 1.2},
        "Felzenszwalb & Huttenlocher 2004",
    ),
    "slic": Peer(
        segment_slic,
        {"n_segments": (3, 4, 6, 8, 12, 20), "compactness": (5.0, 10.0, 20.0)},
        {"n_segments": 4, "compactness": 10.0},
        "Achanta et al. 2012",
    ),
    "watershed": Peer(
        segment_watershed,
        {"depth": (1.0, 1.5, 2.0, 3.0, 4.0), "sigma_px": (2.0, 3.0, 4.0, 6.0)},
        {"depth": 2.0, "sigma_px": 3.0},
        "Beucher & Meyer 1993",
    ),
    # Chosen on contours of networks that had not seen these photographs; the shipped ones have.
    "contours": Peer(
        segment_contours,
        {"cut": (0.5, 0.6, 0.7, 0.8, 0.9), "size_px": (192, 481)},
        {"cut": 0.7, "size_px": 481},
        "plain merging of the inherited contours",
    ),
    "quickshift": Peer(
        segment_quickshift,
        {"kernel_size_px": (6.0, 8.0, 10.0, 12.0), "max_dist": (15.0, 20.0, 30.0, 40.0)},
        {"kernel_size_px": 8.0, "max_dist": 20.0},
        "Vedaldi & Soatto 2008",
    ),
}


def peer_labels(name: str, image: np.ndarray, settings: Settings | None = None) -> np.ndarray:
    """The labels a peer gives an image.

    Args:
        name: a key of :data:`PEERS`.
        image: (H, W, 3) float, sRGB in [0, 1], at its original size.
        settings: the peer's own; the chosen ones when None.

    Returns:
        (H, W) int64, 0 .. number of segments - 1, without gaps.

    Raises:
        KeyError: on an unknown name; the message lists the known ones.
        ValueError: on an image of another shape or range.
    """
    if name not in PEERS:
        raise KeyError(f"unknown peer {name!r}; choose from {', '.join(PEERS)}")
    if image.ndim != 3 or image.shape[2] != 3 or not np.issubdtype(image.dtype, np.floating):
        raise ValueError(
            f"expected an image (H, W, 3) of float in [0, 1], got {image.shape} of {image.dtype}; "
            "move the channels last, divide bytes by 255"
        )
    low, high = float(image.min()), float(image.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ValueError(f"expected values in [0, 1], got {low:.3g} to {high:.3g}; divide bytes by 255")
    peer = PEERS[name]
    labels = peer.segment(np.clip(image, 0, 1), **(peer.chosen if settings is None else settings))
    _, labels = np.unique(labels, return_inverse=True)
    return labels.reshape(image.shape[:2]).astype(np.int64)


@dataclass(frozen=True)
class Choice:
    """What :func:`choose_peer_settings` found for one peer."""

    settings: dict[str, float]
    covering: float  # mean over the photographs
    is_at_edge: bool  # the first or last value of a setting's grid won: a wider grid may do better


def choose_peer_settings(
    photographs: Iterable[LabelledImage], *, names: Sequence[str] | None = None, stride: int = 2
) -> dict[str, Choice]:
    """Of each peer, the settings of its grid with the best mean region covering; the first of equals.

    Args:
        photographs: to choose on, training ones: what is chosen here must not be reported here.
        names: peers to choose for; all when None.
        stride: score every ``stride``-th pixel of each axis.

    Raises:
        ValueError: on no photographs.
    """
    names = list(PEERS) if names is None else list(names)
    totals = {name: [0.0 for _ in PEERS[name].settings()] for name in names}
    n_photographs = 0
    for photograph in photographs:
        n_photographs += 1
        image = photograph.image.permute(1, 2, 0).numpy()
        people = People.of(photograph.segmentations, stride=stride)
        for name in names:
            for i, settings in enumerate(PEERS[name].settings()):
                totals[name][i] += region_covering(peer_labels(name, image, settings), people)
    if not n_photographs:
        raise ValueError("expected at least one photograph to choose settings on, got none")
    return {name: _best(PEERS[name], np.array(totals[name]) / n_photographs) for name in names}


def _best(peer: Peer, means: np.ndarray) -> Choice:
    i_best = int(means.argmax())
    settings = list(peer.settings())[i_best]
    is_at_edge = any(settings[key] in (values[0], values[-1]) for key, values in peer.grid.items())
    return Choice(settings, float(means[i_best]), is_at_edge)
