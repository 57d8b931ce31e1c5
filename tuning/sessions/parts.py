"""How ``--shard I/N``, ``--figures all|none|best:N`` and ``--address`` are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})")
_BEST = re.compile(r"best:(\d{1,9})")


def wrong_shard(text: str) -> str | None:
    """What is wrong with a shard, as the end of a sentence, or None; none at all is right."""
    found = _SHARD.fullmatch(text)
    is_right = found is not None and 1 <= int(found[1]) <= int(found[2])
    return None if is_right or not text else f"expected I/N with I from 1 to N, such as 3/8, got {text!r}"


def wrong_figures(text: str) -> str | None:
    """The same for which episodes are drawn."""
    found = _BEST.fullmatch(text)
    is_right = text in ("all", "none") or (found is not None and int(found[1]) > 0)
    return None if is_right else f"expected all, none or best:N with N above 0, such as best:20, got {text!r}"


def wrong_address(text: str) -> str | None:
    """The same for where a Ray cluster is."""
    is_client = text.startswith("ray://")
    return f"expected HOST:PORT or auto, got {text!r}, which is of Ray's client" if is_client else None


def n_best(text: str) -> int:
    """N of ``best:N``; 0 for anything else."""
    found = _BEST.fullmatch(text)
    return 0 if found is None else int(found[1])


def part(items: Sequence[T], shard: str) -> Sequence[T]:
    """Every N-th item from the I-th on: as many in each shard, and none in two; all, without a shard."""
    found = _SHARD.fullmatch(shard)
    return items if found is None else items[int(found[1]) - 1 :: int(found[2])]


def suffix(shard: str) -> str:
    """What a shard adds to the name of its session: ``3/8`` to ``-shard3of8``."""
    return "" if not shard else "-shard" + shard.replace("/", "of")
