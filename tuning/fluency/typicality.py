"""How usual an image looks to a cortex: minus the log-likelihood of its stages' statistics among photographs'.

A Gaussian with a shrunk covariance (Ledoit & Wolf 2004) over :data:`ciliary.envs.observation.STATISTICS`, fitted once
on photographs, for one cortex at one size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from sklearn.covariance import LedoitWolf

_ARRAYS = ("mean", "scale", "precision", "log_det")
_LEAST_SCALE = 1e-4  # a statistic that varies less over photographs is one that they share
N_LEAST = 20  # photographs to fit on


@dataclass(frozen=True, eq=False)
class Reference:
    """What is usual.

    Attributes:
        mean, scale: (D,) of the statistics over photographs; the scale of one that all photographs share is infinite,
            and it says nothing.
        precision: (D, D) of the standardised statistics, shrunk; 0 for those that say nothing.
        log_det: of the covariance of the others.
        names: D names of the statistics.
        about: ``cortex``, ``size_px``, ``images`` and ``n_images``: what it was fitted on.
    """

    mean: np.ndarray
    scale: np.ndarray
    precision: np.ndarray
    log_det: float
    names: tuple[str, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def surprise(self, statistics: np.ndarray) -> np.ndarray:
        """Minus the log-likelihood of (N, D), in nats a statistic: (N,); less is more usual."""
        z = (np.atleast_2d(statistics) - self.mean) / self.scale
        squared = np.einsum("nd,de,ne->n", z, self.precision, z)
        n = int(np.isfinite(self.scale).sum())
        return np.asarray(0.5 * (squared + self.log_det + n * math.log(2 * math.pi)) / n)

    @property
    def size_px(self) -> int:
        """Long side of the photographs it was fitted on."""
        return int(self.about["size_px"])


def fit(statistics: np.ndarray, names: tuple[str, ...], about: Mapping[str, Any]) -> Reference:
    """The reference of photographs' statistics (N, D).

    Raises:
        ValueError: fewer than :data:`N_LEAST` photographs, or a statistic that is not finite.
    """
    x = np.asarray(statistics, dtype=np.float64)
    if x.ndim != 2 or len(x) < N_LEAST or x.shape[1] != len(names):
        raise ValueError(
            f"expected statistics of {N_LEAST} photographs or more, a column for each of {len(names)}, got {x.shape}"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"expected finite statistics, got {int((~np.isfinite(x)).sum())} that are not")
    mean, spread = x.mean(0), x.std(0)
    told = spread > _LEAST_SCALE
    if not told.any():
        raise ValueError(f"expected photographs that differ, got {len(x)} with the same statistics")
    found = LedoitWolf(assume_centered=True).fit((x - mean)[:, told] / spread[told])
    precision = np.zeros((len(names), len(names)))
    precision[np.ix_(told, told)] = (found.precision_ + found.precision_.T) / 2
    log_det = float(np.linalg.slogdet(found.covariance_)[1])
    scale = np.where(told, spread, np.inf)
    return Reference(mean, scale, precision, log_det, tuple(names), {**about, "n_images": len(x)})


def to_bytes(reference: Reference) -> bytes:
    """The file of a reference: safetensors, with what it was fitted on."""
    arrays = {name: np.asarray(getattr(reference, name), dtype=np.float64) for name in _ARRAYS}
    about = json.dumps({**reference.about, "names": reference.names})
    return save({name: np.atleast_1d(x) for name, x in arrays.items()}, metadata={"about": about})


def load(path: Path) -> Reference:
    """A reference from its file.

    Raises:
        FileNotFoundError, ValueError: there is none, or it is something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"nothing says what is usual at {path}; make it with: ciliary train typicality FOLDER")
    try:
        with safe_open(path, "numpy") as file:
            mean, scale, precision, log_det = (file.get_tensor(name) for name in _ARRAYS)
            about = json.loads((file.metadata() or {})["about"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: no reference of `ciliary train typicality` ({error})") from error
    return Reference(mean, scale, precision, float(log_det[0]), tuple(about.pop("names")), about)


def shipped(cortex: str) -> Path:
    """The reference that comes with the project, of a cortex by its name (``cortex``, ``cortex-contours``)."""
    return Path(__file__).parent / "weights" / f"typicality_{cortex}.safetensors"


def reference_of(
    cortex: str, path: Path | None = None, *, say: Callable[[str], object] = lambda line: None
) -> Reference | None:
    """What is usual to a cortex: of a file, or the one that comes along; None where there is none, which is said.

    Raises:
        FileNotFoundError, ValueError: the file asked for is not there, something else, or of another cortex.
    """
    if path is None and not shipped(cortex).is_file():
        say(f"nothing says what is usual to {cortex}: surprise is undefined; see ciliary train typicality")
        return None
    found = load(path or shipped(cortex))
    made_for = found.about.get("cortex")
    if made_for != cortex:
        raise ValueError(f"{path}: made for {made_for}, and {cortex} is to see; make one with its options")
    return found
