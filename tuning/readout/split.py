"""Training, validation and test images: at random, or blocks of neighbours of a stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ciliary.tuning.readout.data import Census

FEWEST = 3


@dataclass(frozen=True)
class Split:
    """Numbers of images, each part ascending; none is in two."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def few(self, n_train: int | None) -> Split:
        """With ``n_train`` of the training images only, evenly spaced; all when None.

        Raises:
            ValueError: there are fewer.
        """
        if n_train is None:
            return self
        if not 1 <= n_train <= len(self.train):
            raise ValueError(f"asked for {n_train} training images of {len(self.train)}; lower --train")
        places = np.linspace(0, len(self.train) - 1, n_train).round().astype(int) if n_train > 1 else [0]
        return Split(tuple(self.train[i] for i in places), self.validation, self.test)


def split_images(n: int, *, validation: float = 0.2, test: float = 0.2, seed: int = 0) -> Split:
    """At random, by seed: right where images have nothing to do with each other.

    Raises:
        ValueError: too few images.
    """
    n_validation, n_test = _sizes(n, validation, test)
    order = np.random.default_rng(seed).permutation(n)
    held, rest = order[: n_test + n_validation], order[n_test + n_validation :]
    return Split(_sorted(rest), _sorted(held[n_test:]), _sorted(held[:n_test]))


def split_blocks(n: int, *, validation: float = 0.2, test: float = 0.2, gap: int = 0) -> Split:
    """The last images of a stack to test on, those before them to validate, those before to learn from.

    Slices beside each other show the same things: at random, a test slice would have been learned from its neighbours.

    Args:
        n: images, in the order of the stack.
        validation, test: shares of them.
        gap: images left out between two parts.

    Raises:
        ValueError: too few images.
    """
    n_validation, n_test = _sizes(n - 2 * gap, validation, test)
    ends = n - n_test, n - n_test - gap - n_validation
    numbers = range(n)
    return Split(tuple(numbers[: ends[1] - gap]), tuple(numbers[ends[1] : ends[0] - gap]), tuple(numbers[ends[0] :]))


def check_split(split: Split, census: Census) -> None:
    """Refuse a split by which something would be tested that nothing was learned of.

    Raises:
        ValueError: naming the class.
    """
    learned = census.pixels[list(split.train)].sum(0) > 0
    for part, rows in (("test", split.test), ("validation", split.validation)):
        asked = census.pixels[list(rows)].sum(0) > 0
        if lost := [name for name, one, other in zip(census.classes.names, asked, learned, strict=True) if one > other]:
            raise ValueError(
                f"class {', '.join(lost)} is in the {part} images and in none of the {len(split.train)} training "
                "images; use another --seed, --split or --train, or label more"
            )
    if learned.sum() < 2:
        raise ValueError("the training images have one class only; use another --seed or --split, or label more")


def _sizes(n: int, validation: float, test: float) -> tuple[int, int]:
    if n < FEWEST:
        raise ValueError(
            f"expected at least {FEWEST} labelled images (to learn from, to validate and to test on), got {max(n, 0)}"
        )
    n_validation, n_test = max(1, round(n * validation)), max(1, round(n * test))
    if n_validation + n_test >= n:
        raise ValueError(
            f"{n_validation} validation and {n_test} test images leave none of {n} to learn from; lower --validation "
            "or --test"
        )
    return n_validation, n_test


def _sorted(rows: np.ndarray) -> tuple[int, ...]:
    return tuple(sorted(int(row) for row in rows))
