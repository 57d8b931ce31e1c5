"""What an environment is made of: one frozen dataclass, shared by the single and the vector form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.cortex import Perceiver, make_perceiver
from ciliary.cortex.options import cortex_name, inherits, is_of_looks
from ciliary.cortex.perceivers import make_glancing
from ciliary.cortex.stages.weights import stage_names
from ciliary.envs.data.reading import MIN_SIDE_PX
from ciliary.envs.dynamics import ActionMode, Rules
from ciliary.envs.episode import DisturbanceSampler
from ciliary.envs.objective.looks_objective import LooksObjective
from ciliary.envs.objective.terms import Objective


@dataclass(frozen=True)
class EnvConfig:
    """Everything about an environment but how it is drawn; all optional.

    Attributes:
        cortex: a cortex, or the keyword arguments of one, such as ``{"depth": "pictorial"}``.
        perceiver: another perceiver in its place: an object, a name (:data:`ciliary.cortex.segmenters.SEGMENTERS`),
            ``module:object``, or a function ``segment(image, **parameters) -> label map``.
        device: where a perceiver that is built here lies (``auto``, ``cpu``, ``cuda``, ``mps``); images are brought to
            it, and what comes back is on the CPU. None: the CPU, or where the perceiver handed in lies.
        objective: ``calibrated``, the path of a calibration, ``raw``, ``recognition`` (raw, and that what is recognised
            holds too), ``agreement`` (with a panel drawn around the defaults), ``module:object``, an
            :class:`Objective`, its settings, or a function ``(images, percept) -> losses``. None: ``calibrated``
            where a calibration of the perceiver comes along, ``agreement`` for any other. With ``looks`` or a file of
            looks whoever is built here sees as a session of the command line does: it glances, so that the columns are
            more, and a cortex inherits contours unless ``cortex`` says otherwise.
        source: photographs to choose from: ``bundled``, ``scenes`` (synthetic, with known answers), a bundled name, the
            path of a file or folder, a list of these, or images in memory (photographs, arrays, PIL, tensors).
        disturbances: specs to choose from uniformly (None is clean, ``"fog"`` draws its severity), ``"all"`` (clean and
            each kind), or a function of a generator that returns one. Photographs are disturbed only when asked.
        size_px: long side that images are shrunk to, never enlarged; None keeps their size.
        shape_px: (height, width) that all images are centre-cropped and resized to, in place of ``size_px``.
        n_views: views that a percept is judged against (None: as many as the objective asks for); half of them
            (rounded up) photometric, the rest geometric.
        max_images: images per forward pass; bounds memory, not results.
        with_kl: adds ``symmetric_kl`` to the terms, for the log; slow.
        with_looks: keeps what every setting saw that :meth:`~ciliary.envs.single.AccommodationEnv.evaluate` or a step
            tried, and adds :data:`ciliary.envs.looks.LOOK_TERMS` to the terms. (Not in the vector form.)
        default_u: where episodes start, (P,) in [-1, 1]; None: the defaults of the perceiver's table.
        action_mode, max_step, step_cost, tolerance, patience: see :class:`ciliary.envs.dynamics.Rules`.
    """

    cortex: Perceiver | Mapping[str, Any] | None = None
    perceiver: Perceiver | Callable[..., np.ndarray] | str | None = None
    device: str | None = None
    objective: Any = None
    source: Any = "bundled"
    disturbances: DisturbanceSampler | str = (None,)
    size_px: int | None = 192
    shape_px: tuple[int, int] | None = None
    n_views: int | None = None
    max_images: int = 20
    with_kl: bool = False
    with_looks: bool = False
    default_u: np.ndarray | None = None
    action_mode: ActionMode = Rules.action_mode
    max_step: float = Rules.max_step
    step_cost: float = Rules.step_cost
    tolerance: float = Rules.tolerance
    patience: int = Rules.patience

    def __post_init__(self) -> None:
        if self.cortex is not None and self.perceiver is not None:
            raise ValueError("expected a cortex or another perceiver, got both; give one")
        if self.n_views is not None and self.n_views < 1:
            raise ValueError(f"expected n_views >= 1 (a percept is judged against its views), got {self.n_views}")
        if min(self.shape_px or (self.size_px or MIN_SIDE_PX,)) < MIN_SIDE_PX:
            raise ValueError(f"expected images of at least {MIN_SIDE_PX} px, got {self.size_px=} and {self.shape_px=}")
        if not callable(self.disturbances) and len(self.disturbances) == 0:
            raise ValueError("expected at least one disturbance; for clean images pass disturbances=(None,)")
        if not isinstance(self.source, (str, Path)) and isinstance(self.source, Sequence) and len(self.source) == 0:
            raise ValueError("expected at least one photograph in the source, got none")
        _ = self.rules  # checked now

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> EnvConfig:
        """The configuration of keyword arguments; ``TypeError`` listing the legal ones if one is unknown."""
        return cls(**check_names(cls, options))

    @property
    def rules(self) -> Rules:
        """What an action does, what a step costs, when an episode has converged."""
        return Rules(self.action_mode, self.max_step, self.step_cost, self.tolerance, self.patience)

    @property
    def is_of_looks(self) -> bool:
        """Whether the answer of an episode is what all looks come to."""
        return isinstance(self.objective, LooksObjective) or is_of_looks(self.objective)

    @property
    def cortex_options(self) -> dict[str, Any]:
        """Keyword arguments of the cortex, where it is built here."""
        options = dict(self.cortex) if isinstance(self.cortex, Mapping) else {}
        own = {"inherited": inherits(stage_names(options.get("learned", ())))} if self.is_of_looks else {}
        return own | options

    @property
    def cortex_name(self) -> str:
        """The name of the cortex asked for."""
        if self.cortex is None or isinstance(self.cortex, Mapping):
            return cortex_name(self.cortex_options.get("inherited", "none"))
        return self.cortex.name

    def make_perceiver(self, objective: Objective | None = None) -> Perceiver:
        """The perceiver asked for; a cortex built here recognises where the objective asks for that.

        Who is handed in is left as it is: its owner may be training it.
        """
        build = make_glancing if self.is_of_looks else make_perceiver
        if self.perceiver is not None:
            is_built = isinstance(self.perceiver, (str, type)) or not hasattr(self.perceiver, "table")
            return (build if is_built else make_perceiver)(self.perceiver, device=self.device)
        if self.cortex is None or isinstance(self.cortex, Mapping):
            options = {"recognise": True} if objective is not None and objective.recognises else {}
            return build({**options, **self.cortex_options}, device=self.device)
        return make_perceiver(self.cortex)


def check_names(config: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they are; ``TypeError`` listing the fields of the dataclass ``config`` if one is none of them."""
    known = [field.name for field in fields(config)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"unknown argument(s) {', '.join(unknown)}; choose from {', '.join(known)}")
    return dict(options)
