"""Objectives by name, by file, or as an object."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.cortex.loading import load_object, names_object, object_mark
from ciliary.cortex.options import CORTEX, default_objective, is_of_looks
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.envs.objective.agreement_objective import AgreementObjective, JointObjective
from ciliary.envs.objective.calibrated import CalibratedObjective
from ciliary.envs.objective.calibration import calibration_path, load_calibration
from ciliary.envs.objective.chosen_looks import ChosenLooks, shipped_files
from ciliary.envs.objective.looks_objective import LooksObjective
from ciliary.envs.objective.recognition import RECOGNITION_WEIGHTS
from ciliary.envs.objective.terms import VIEW_TERMS, Objective, ObjectiveSettings
from ciliary.envs.options import UNCALIBRATED as UNCALIBRATED

#: Weights of terms of views beside the raw terms, where they are asked for by their name.
_VIEW_WEIGHT = 0.2

LossFunction = Callable[[Tensor, AbstractPercept], Tensor]
"""Images (N, 3, H, W) and their percept to losses (N,), lower is better."""


class FunctionObjective(Objective):
    """A user's function as an objective: judged by it alone, without views."""

    n_views = 0

    def __init__(self, function: LossFunction) -> None:
        super().__init__()
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def __call__(
        self,
        percept: AbstractPercept,
        *of_views: Any,
        n_views: int,
        images: Tensor | None = None,
        **unread: Any,
    ) -> dict[str, Tensor]:
        """The function's losses as ``total``; of the images themselves, where there are views.

        Raises:
            ValueError: the function does not give one loss for each image.
        """
        del of_views, unread
        assert images is not None
        own = percept if n_views == 0 else percept[:: 1 + n_views]
        total = torch.as_tensor(self.function(images, own), dtype=torch.float32, device=images.device)
        if total.shape != (len(images),):
            raise ValueError(
                f"{self.name}: expected one loss for each of {len(images)} images, got {tuple(total.shape)}"
            )
        return {"total": total}


def make_objective(
    asked: Any = None,
    *,
    perceiver: str = CORTEX,
    centre_u: np.ndarray | None = None,
    settings: ObjectiveSettings | None = None,
) -> Objective:
    """An objective.

    Args:
        asked: ``raw``, ``recognition`` (the raw terms and
            :data:`~ciliary.envs.objective.recognition.RECOGNITION_WEIGHTS`), ``worst_case`` or ``texture`` (the raw
            terms and that of :mod:`ciliary.envs.objective.worst_case`), ``agreement`` (with a panel around the
            defaults), ``joint`` (that and the raw terms), ``looks`` (nothing: for episodes whose answer is all looks
            together), ``calibrated`` (by the calibration of the perceiver that comes along), the path of a calibration
            or of chosen looks (.json), ``module:object``; an :class:`Objective`, :class:`ObjectiveSettings`, or a
            :data:`LossFunction`. None is ``calibrated`` where such a calibration comes along, else ``agreement``.
        perceiver: name of the one whose percepts are to be judged.
        centre_u: (P,) what a panel is drawn around.
        settings: of the raw terms.

    Raises:
        FileNotFoundError, ValueError: as :func:`ciliary.envs.objective.calibration.load_calibration`,
            :meth:`ciliary.envs.objective.chosen_looks.ChosenLooks.load` and
            :func:`ciliary.cortex.loading.load_object`.
        TypeError: something else was asked for.
    """
    if asked is None:
        asked = default_objective(perceiver)
    if isinstance(asked, str) and names_object(asked) and not Path(asked).exists():
        asked = load_object(asked, what="objective")
        if isinstance(asked, type) and issubclass(asked, Objective):
            asked = asked()
    if isinstance(asked, Objective):
        return asked
    if isinstance(asked, ObjectiveSettings):
        return Objective(asked)
    if callable(asked):
        return FunctionObjective(asked)
    if not isinstance(asked, (str, Path)):
        raise TypeError(f"expected an objective (a name, a file, an Objective, a function), got {type(asked).__name__}")
    if asked == "raw":
        return Objective(settings)
    if asked == "recognition":
        weights: dict[str, Any] = dict(RECOGNITION_WEIGHTS)
        return Objective(replace(settings or ObjectiveSettings(), **weights))
    if asked in VIEW_TERMS:
        own: dict[str, Any] = {str(asked): _VIEW_WEIGHT}
        return Objective(replace(settings or ObjectiveSettings(), **own))
    if asked == "agreement":
        return AgreementObjective(centre_u=centre_u, settings=settings)
    if asked == "joint":
        return JointObjective(centre_u=centre_u, settings=settings)
    if is_of_looks(asked):
        chosen = None if asked == "looks" else ChosenLooks.load(asked)
        return LooksObjective(chosen=chosen, centre_u=centre_u, settings=settings)
    return CalibratedObjective(load_calibration(asked, perceiver=perceiver), settings)


def objective_mark(asked: Any, *, perceiver: str = CORTEX) -> str:
    """What numbers depend on.

    The name; with ``looks`` and ``calibrated``, 16 hex digits of the looks that were chosen and of the calibration; a
    user's own by its name and its source.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no calibration of this perceiver comes along.
    """
    if is_of_looks(asked):
        return f"looks {_digest(*(shipped_files() if asked == 'looks' else [Path(asked)]))}"
    if asked in UNCALIBRATED:
        return str(asked)
    if isinstance(asked, str) and names_object(asked) and not Path(asked).exists():
        return object_mark(asked, what="objective")
    return f"calibrated {_digest(calibration_path(asked, perceiver=perceiver))}"


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]
