"""How alike a map's scan path is to people's, between paths that know nothing of the photograph and the people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch

from ciliary.cortex.dorsal.scan import ScanSettings, scan_path
from ciliary.envs.data.gaze import GazeSet
from ciliary.envs.metrics.scanpath import ScanMatch
from ciliary.envs.metrics.statistics import DEFAULT, Bootstrap, Interval, bootstrap_mean

RANDOM, STARE, PEOPLE = "random around the centre", "stare at the centre", "people"


def scan_table(
    maps: Mapping[str, np.ndarray],
    gazed: GazeSet,
    *,
    photograph: tuple[int, int],
    cells_per_deg: float,
    centre: np.ndarray,
    told_on: Sequence[int],
    n_fixations: int = 9,
    settings: ScanSettings | None = None,
    how: Bootstrap = DEFAULT,
) -> dict[str, Interval]:
    """ScanMatch of each map's path with every person's, the mean over people of an image, over images.

    Args:
        maps: name -> (N, h, w) >= 0 of each of the N photographs.
        gazed: the photographs, all shown at one size.
        photograph: (height, width) of that size in px.
        cells_per_deg: of the maps.
        centre: (N, h, w) centre bias, which the random paths are drawn from (seed 0).
        told_on: indices of the photographs.
        n_fixations: of a path after its start at the centre; 9 are the mean of OSIE's people.
        settings: of the paths; the defaults when None.
        how: the resampling of photographs.

    Returns:
        name -> interval: each map, ``random around the centre``, ``stare at the centre`` (the mean of the four bins
        that meet there), and ``people`` (all pairs of an image's).
    """
    match, rng = ScanMatch(), np.random.default_rng(how.seed)
    size = (centre.shape[1], centre.shape[2])
    people = []
    for i in told_on:
        one = gazed.fixations[i]
        paths = (one.of(subject) for subject in one.subjects)
        people.append([match.sequence(path.y_px, path.x_px, size=photograph) for path in paths])

    def scored(paths: list[list[np.ndarray]]) -> Interval:
        """``paths``: several of each photograph, whose scores are averaged."""
        means = []
        for ours, theirs in zip(paths, people, strict=True):
            pairs = [(a, b) for a in ours for b in theirs]
            means.append(float(match.pairs([a for a, _ in pairs], [b for _, b in pairs]).mean()))
        return bootstrap_mean(np.array(means), how=how)

    found = {}
    for name, values in maps.items():
        y, x = scan_path(
            torch.from_numpy(np.asarray(values)[list(told_on)])[:, None],
            n_fixations=n_fixations,
            cells_per_deg=cells_per_deg,
            settings=settings,
        )
        found[name] = scored([[match.sequence(a.numpy(), b.numpy(), size=size)] for a, b in zip(y, x, strict=True)])
    drawn = []
    for i in told_on:
        cells = rng.choice(centre[i].size, n_fixations, p=centre[i].ravel() / centre[i].sum())
        drawn.append([match.sequence(cells // size[1], cells % size[1], size=size)])
    row, column = match.n_rows // 2, match.n_columns // 2
    bins = [y * match.n_columns + x for y in (row - 1, row) for x in (column - 1, column)]
    found[RANDOM] = scored(drawn)
    found[STARE] = scored([[np.full(n_fixations, one) for one in bins]] * len(people))
    ceiling = [
        float(match.pairs(*map(list, zip(*pairs, strict=True))).mean())
        for pairs in (list(combinations(theirs, 2)) for theirs in people)
        if pairs
    ]
    if ceiling:
        found[PEOPLE] = bootstrap_mean(np.array(ceiling), how=how)
    return found
