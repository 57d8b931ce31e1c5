"""A calibration: how good a percept is, predicted from what can be told without labels. A small file, and its use.

The prediction is a small network (or a line) on standardised features; it was fitted on images that people had
labelled, and needs no label any more. ``scripts/calibrate.py`` makes such a file from a user's own labelled images.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.options import CORTEX, inherited_by
from ciliary.cortex.parameters import COLUMNS_V0


def shipped(perceiver: str = CORTEX) -> Path | None:
    """The calibration of a perceiver that comes with the project; None where none does."""
    kind = inherited_by(perceiver)
    if kind is None:
        return None
    return Path(__file__).with_name("calibration.npz" if kind == "none" else f"calibration_{kind}.npz")


@dataclass(frozen=True, eq=False)
class Calibration:
    """A model of the score people would give, and what it needs.

    Attributes:
        names: F inputs: ``term.*`` of the raw objective, ``feature.*`` of :mod:`ciliary.envs.objective.features`,
            ``agreement.<k>`` and ``covered.<k>`` with the k-th percept of the panel. Never the setting itself: a search
            would exploit it.
        mean, scale: (F,) inputs are standardised by them, then clipped to +-``CLIP``.
        layers: weights (out, in) and biases (out,) one after the other; ReLU between, none after the last, which has
            one output: the predicted score (region covering, in [0, 1]).
        panel: (K, P) settings whose percepts a candidate is compared with; K may be 0.
        starts: (M, P) settings worth trying first, best first.
        min_gain: predicted gain over the defaults below which a setting is not worth changing to.
        n_views: views the raw terms need; 0 when no such term is used.
        about: provenance: data, date, seed, scores, version; JSON types.
        parameters: names of the P columns of ``panel`` and ``starts``; files of version 0.1 have none, and its columns.
        perceiver: name of the perceiver whose percepts it judges.
    """

    CLIP = 4.0

    names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    panel: np.ndarray
    starts: np.ndarray
    min_gain: float = 0.0
    n_views: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] = COLUMNS_V0
    perceiver: str = CORTEX

    def __post_init__(self) -> None:
        n = len(self.names)
        sizes = [n, *(len(bias) for _, bias in self.layers)]
        shapes = [weight.shape for weight, _ in self.layers]
        if (
            self.mean.shape != (n,)
            or self.scale.shape != (n,)
            or shapes != list(zip(sizes[1:], sizes[:-1], strict=True))
        ):
            raise ValueError(f"expected a chain of layers from {n} inputs, got {shapes}, {self.mean.shape}")
        if not self.layers or sizes[-1] != 1 or not (self.scale > 0).all():
            raise ValueError("expected at least one layer, one output and positive scales")
        for settings in (self.panel, self.starts):
            if settings.ndim != 2 or (len(settings) and settings.shape[1] != len(self.parameters)):
                raise ValueError(f"expected settings with a column for each of {len(self.parameters)} parameters")

    def check(self, perceiver: str) -> None:
        """Raise ``ValueError`` unless it was made for the perceiver of this name."""
        if perceiver != self.perceiver:
            raise ValueError(
                f"the calibration was made for the perceiver {self.perceiver}, and {perceiver} is another: its scores "
                "would mean nothing; use the objective that is its default, raw, or one of your own (cortex is "
                "--inherited none)"
            )

    def predict(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The predicted score (N,) of N percepts from their inputs by name, each (N,). Differentiable.

        Raises:
            KeyError: an input is missing.
        """
        missing = [name for name in self.names if name not in inputs]
        if missing:
            raise KeyError(f"the calibration needs {missing}; it may belong to another version of Ciliary: recalibrate")
        x = torch.stack([inputs[name] for name in self.names], 1)
        mean, scale = (torch.as_tensor(one, device=x.device) for one in (self.mean, self.scale))
        x = (x - mean) / scale
        # Beyond what was seen the model knows nothing; soft, so that the gradient leads back.
        x = self.CLIP * torch.tanh(x / self.CLIP)
        for i, layer in enumerate(self.layers):
            weight, bias = (torch.as_tensor(one, device=x.device) for one in layer)
            x = torch.addmm(bias, x.relu() if i else x, weight.T)
        return x[:, 0]

    def save(self, path: Path) -> None:
        """Write one .npz."""
        about = {"names": list(self.names), "n_layers": len(self.layers), "about": dict(self.about)}
        about |= {"min_gain": self.min_gain, "n_views": self.n_views}
        about |= {"parameters": list(self.parameters), "perceiver": self.perceiver}
        arrays = {f"{kind}_{i}": x for i, pair in enumerate(self.layers) for kind, x in zip("wb", pair, strict=True)}
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            json=np.array(json.dumps(about)),
            mean=self.mean,
            scale=self.scale,
            panel=self.panel,
            starts=self.starts,
            **arrays,  # type: ignore[arg-type]
        )
        path.write_bytes(buffer.getvalue())


def calibration_path(asked: Path | str | None = None, *, perceiver: str = CORTEX) -> Path:
    """The file asked for; of None and ``calibrated`` the one of the perceiver that comes with the project.

    Raises:
        ValueError: none of this perceiver comes along.
    """
    path = shipped(perceiver) if asked in (None, "calibrated") else Path(str(asked))
    if path is None:
        raise ValueError(
            f"no calibration of {perceiver} comes along; use the objective agreement (its default), raw or "
            "recognition, or the file that scripts/calibrate.py made of a cortex"
        )
    return path


def load_calibration(asked: Path | str | None = None, *, perceiver: str = CORTEX) -> Calibration:
    """Read a calibration, that of :func:`calibration_path`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds something else; none of this perceiver comes along.
    """
    path = calibration_path(asked, perceiver=perceiver)
    if not path.is_file():
        raise FileNotFoundError(
            f"no calibration at {path}; make one with scripts/calibrate.py, or use --objective raw or recognition"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["json"]))
            layers = tuple((file[f"w_{i}"], file[f"b_{i}"]) for i in range(about["n_layers"]))
            return Calibration(
                tuple(about["names"]),
                file["mean"],
                file["scale"],
                layers,
                file["panel"],
                file["starts"],
                about["min_gain"],
                about["n_views"],
                about["about"],
                tuple(about.get("parameters", COLUMNS_V0)),
                about.get("perceiver", CORTEX),
            )
    except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a calibration ({error}); make one with scripts/calibrate.py") from error
