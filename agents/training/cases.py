"""A fixed number of cases to learn from: photographs already disturbed, and some held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ciliary.envs.data.reading import Photograph
from ciliary.envs.episode import ALL_DISTURBANCES, DisturbanceSpec, draw_episode


def fixed_cases(
    photographs: Sequence[Photograph],
    n_cases: int,
    *,
    shape_px: tuple[int, int],
    disturbances: Sequence[DisturbanceSpec] = ALL_DISTURBANCES,
    seed: int = 0,
) -> tuple[Photograph, ...]:
    """``n_cases`` photographs under a disturbance each, as photographs (3, H, W) of one shape; some 75 kB at 64 x 96.

    Photographs come in turn, and disturbances in an order of their own, so that each is equally frequent and every
    photograph meets every kind, given enough cases. A kind without a severity draws one of 1 to 5.

    Args:
        photographs: to choose from.
        n_cases: >= 1.
        shape_px: (height, width).
        disturbances: specs.
        seed: of severities and noise.

    Returns:
        cases named such as ``coffee/fog:3``; show them without a further disturbance.
    """
    if n_cases < 1:
        raise ValueError(f"expected n_cases >= 1, got {n_cases}")
    cases = []
    for k in range(n_cases):
        photograph = photographs[k % len(photographs)]
        spec = disturbances[(k + k // len(photographs)) % len(disturbances)]
        rng = np.random.default_rng([seed, k])
        episode = draw_episode(rng, [photograph], {"image": photograph, "disturbance": spec}, shape_px=shape_px)
        name = f"{photograph.name}/{episode.disturbance}"
        cases.append(Photograph(name, episode.image, photograph.original_size, photograph.path))
    return tuple(cases)


def split(photographs: Sequence[Photograph], hold_out: int) -> tuple[list[Photograph], list[Photograph]]:
    """Photographs to learn from, and every ``hold_out``-th to evaluate on.

    Raises:
        ValueError: fewer than two photographs.
    """
    if len(photographs) < 2:
        raise ValueError(f"expected at least 2 photographs, one of them to evaluate on, got {len(photographs)}")
    is_held_out = [(i + 1) % min(hold_out, len(photographs)) == 0 for i in range(len(photographs))]
    return (
        [photographs[i] for i in range(len(photographs)) if not is_held_out[i]],
        [photographs[i] for i in range(len(photographs)) if is_held_out[i]],
    )
