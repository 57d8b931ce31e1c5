"""ScanMatch: how alike two scan paths are, place by place and in their order.

Cristino, Mathôt, Theeuwes and Gilchrist 2010, "ScanMatch: a novel method for comparing fixation sequences", Behavior
Research Methods 42: the field is cut into bins, a path is the sequence of its bins, and two sequences are aligned
(Needleman and Wunsch 1970) so that near bins score. Written from the paper. MultiMatch is no substitute: staring at the
centre scores in it as two people do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class ScanMatch:
    """How paths are compared.

    Attributes:
        n_columns, n_rows: bins across and down the field.
        threshold: distance in bins at which two places score 0, > 0; the paper takes twice the standard deviation of
            saccade sizes: 3.5 for 16 x 12 bins.
        gap: score of a fixation that has no partner, <= 0.
        bin_ms: a fixation counts once for each ``bin_ms`` of its duration, at least once; None to count each once.
    """

    n_columns: int = 16
    n_rows: int = 12
    threshold: float = 3.5
    gap: float = 0.0
    bin_ms: float | None = None

    higher_is_better = True

    def __post_init__(self) -> None:
        if min(self.n_columns, self.n_rows) < 1 or not self.threshold > 0 or self.gap > 0:
            raise ValueError(f"expected bins >= 1, threshold > 0 and gap <= 0, got {self}")
        if self.bin_ms is not None and not self.bin_ms > 0:
            raise ValueError(f"expected bin_ms > 0 or None, got {self.bin_ms}")

    @property
    def substitution(self) -> np.ndarray:
        """(bins, bins) score of one bin for another: threshold - distance between their middles, in bins."""
        row, column = np.divmod(np.arange(self.n_rows * self.n_columns), self.n_columns)
        return np.asarray(self.threshold - np.hypot(row[:, None] - row, column[:, None] - column))

    def sequence(
        self, y: ArrayLike, x: ArrayLike, *, size: tuple[float, float], duration_ms: ArrayLike | None = None
    ) -> np.ndarray:
        """A path as bins (L,), row-major.

        Args:
            y, x: (N,) fixations in their order, N >= 1, in the units of ``size``.
            size: (height, width) of the field.
            duration_ms: (N,), needed with ``bin_ms``.

        Raises:
            ValueError: no fixation, one outside of the field, or durations that are missing.
        """
        ys, xs = np.asarray(y, float), np.asarray(x, float)
        if ys.shape != xs.shape or ys.ndim != 1 or not len(ys):
            raise ValueError(f"expected y and x (N,) of at least one fixation, got {ys.shape} and {xs.shape}")
        if not ((ys >= 0) & (ys < size[0]) & (xs >= 0) & (xs < size[1])).all():
            raise ValueError(f"a fixation lies outside of the field of {size[0]} x {size[1]}")
        row, column = (ys * self.n_rows / size[0]).astype(int), (xs * self.n_columns / size[1]).astype(int)
        bins = row * self.n_columns + column
        if self.bin_ms is None:
            return np.asarray(bins)
        if duration_ms is None or np.shape(duration_ms) != ys.shape:
            raise ValueError(f"bin_ms={self.bin_ms} needs the duration of each of {len(ys)} fixations")
        return np.repeat(bins, np.maximum(1, np.rint(np.asarray(duration_ms, float) / self.bin_ms).astype(int)))

    def __call__(self, a: np.ndarray, b: np.ndarray) -> float:
        """Likeness of two sequences of :meth:`sequence`: 1 for the same, 0 for nothing in common (with gap 0)."""
        return float(self.pairs([a], [b])[0])

    def pairs(self, a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> np.ndarray:
        """Likeness (P,) of each of P pairs, all aligned at once: best score over that of the longer with itself.

        Raises:
            ValueError: not as many in ``a`` as in ``b``, or a sequence that is empty.
        """
        if len(a) != len(b) or not all(len(one) for one in (*a, *b)):
            raise ValueError(f"expected as many sequences as partners, none empty; got {len(a)} and {len(b)}")
        if not len(a):
            return np.empty(0)
        first, n_first = _padded(a)
        second, n_second = _padded(b)
        substitution = self.substitution
        step = self.gap * np.arange(second.shape[1] + 1)
        last = np.tile(step, (len(a), 1))  # best score of no bin of a and the first j of b
        score = np.zeros(len(a))
        for i in range(first.shape[1]):
            matched = last[:, :-1] + substitution[first[:, i, None], second]
            best = np.maximum(matched, last[:, 1:] + self.gap)
            best = np.concatenate([last[:, :1] + self.gap, best], 1)
            # A gap in a: the best of any earlier j plus the gaps since, as a running maximum.
            last = np.maximum.accumulate(best - step, 1) + step
            score = np.where(n_first == i + 1, last[np.arange(len(a)), n_second], score)
        return np.asarray(score / (self.threshold * np.maximum(n_first, n_second)))


def _padded(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(P, longest) with zeros at the ends, which no result reads, and the lengths (P,)."""
    n = np.array([len(one) for one in sequences])
    padded = np.zeros((len(sequences), int(n.max())), dtype=int)
    padded[np.arange(padded.shape[1]) < n[:, None]] = np.concatenate(sequences)
    return padded, n
