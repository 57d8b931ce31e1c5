"""Which images under which disturbances: short words to cases, each with a seed that depends on nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from ciliary.envs.data.disturbances import MIXED_V0, parse_disturbance
from ciliary.tuning.evaluation.table import Case

ALL = "all"
MIXED = "mixed"


def parse_disturbances(text: str) -> list[str]:
    """Read ``none,fog:3,all:1,5`` to ``["none", "fog:3", "all:1", "all:5"]``: a bare number repeats the kind before it.

    ``all:3`` is each of the eight kinds of
    :data:`~ciliary.envs.data.disturbances.MIXED_V0`, ``mixed:3`` one of them an image, in rotation.

    Raises:
        ValueError: naming the legal kinds.
    """
    words: list[str] = []
    for part in text.split(","):
        word = part.strip()
        if not word:
            continue
        if word.replace(".", "", 1).isdigit() and words and ":" in words[-1]:
            word = f"{words[-1].partition(':')[0]}:{word}"
        kind, _, severity = word.partition(":")
        if kind in (ALL, MIXED):
            one = parse_disturbance(f"{MIXED_V0[0]}:{severity}")
            words.append(f"{kind}:{one.severity:g}")
        else:
            words.append(str(parse_disturbance(word)))
    if not words:
        raise ValueError("expected one or more disturbances, such as none,mixed:3")
    return list(dict.fromkeys(words))


def make_cases(names: Sequence[str], disturbances: Iterable[str], *, known: Iterable[Case] = ()) -> list[Case]:
    """The cases, disturbance by disturbance.

    Args:
        names: of the images, in order.
        disturbances: as :func:`parse_disturbances` gives them.
        known: cases whose seeds are taken over where image and disturbance are the same, say of a response table.
    """
    seeds = {(case.image, case.disturbance): case.seed for case in known}
    pairs: list[tuple[str, str]] = []
    for word in disturbances:
        kind, _, severity = word.partition(":")
        if kind == ALL:
            pairs += [(name, f"{each}:{severity}") for each in MIXED_V0 for name in names]
        elif kind == MIXED:
            pairs += [(name, f"{MIXED_V0[i % len(MIXED_V0)]}:{severity}") for i, name in enumerate(names)]
        else:
            pairs += [(name, word) for name in names]
    return [Case(*pair, seed=seeds.get(pair, case_seed(*pair))) for pair in dict.fromkeys(pairs)]


def case_seed(image: str, disturbance: str) -> int:
    """A number in [0, 2^31) that is the same on every machine, whatever other cases there are."""
    return zlib.crc32(f"{image} {disturbance}".encode()) & 0x7FFFFFFF
