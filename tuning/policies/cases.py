"""A fixed number of cases to learn from: photographs already disturbed, whose looks are kept.

Under the calibrated objective a look costs the percepts of a panel of settings, some thirty times what a step costs.
Where the same disturbed images come again and again, each is looked at once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from envs.episodes import ALL_DISTURBANCES, DisturbanceSpec, draw_episode
from envs.evaluate import Looks
from envs.laboratory import Apparatus, Laboratory
from envs.reading import Photograph


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


class KeepingLaboratory(Laboratory):
    """A laboratory that keeps its latest looks, by the image's content.

    Only where no views are taken: with views a look belongs to one episode, and none is kept.

    Args:
        apparatus: see :class:`envs.laboratory.Apparatus`.
        n_kept: looks to keep; a look with the panel takes some 0.6 MB at 64 x 96 px.

    Attributes:
        n_looks: looks that were really taken.
    """

    def __init__(self, apparatus: Apparatus, *, n_kept: int) -> None:
        super().__init__(apparatus)
        self.n_kept, self.n_looks = n_kept, 0
        self._kept: OrderedDict[bytes, Looks] = OrderedDict()

    def look(self, image: Tensor, views_seed: int) -> Looks:
        """See :meth:`envs.laboratory.Laboratory.look`."""
        if self.n_views > 0:
            self.n_looks += 1
            return super().look(image, views_seed)
        key = hashlib.sha256(image.numpy().tobytes()).digest() + str(tuple(image.shape)).encode()
        if key not in self._kept:
            self.n_looks += 1
            self._kept[key] = super().look(image, views_seed)
            if len(self._kept) > self.n_kept:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]
