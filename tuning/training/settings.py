"""What the trainings are told. Imports nothing heavy: ``--help`` must not wait for torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from ciliary.cortex.options import cortex_name
from ciliary.tuning.cli.settings import CortexOptions
from ciliary.tuning.training.curriculum import Curriculum

if TYPE_CHECKING:
    from ciliary.agents.training.through_cortex import TrainingSettings
    from ciliary.envs.dynamics import ActionMode
    from ciliary.envs.episode import DisturbanceSpec

Algorithm = Literal["ppo", "sac"]


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """What all policies are told that learn on disturbed photographs.

    Attributes:
        images: ``bundled``, or a folder of photographs.
        out: folder of the policy, the checkpoints, the curve and the tracking store.
        objective: ``raw``, ``calibrated``, or the path of a calibration.
        n_views: views a percept is judged by (None: as many as the objective asks for); fewer are faster.
        n_cases: disturbed photographs to learn from.
        hold_out: every so-many-th photograph is kept to evaluate on.
        looks: which cortex.
    """

    #: Settings that name places or say when to stop, not what is learned: a training goes on when they change.
    places: ClassVar[tuple[str, ...]] = ("out", "images")

    images: str | Path = "bundled"
    out: Path = Path("runs/policies")
    objective: str = "calibrated"
    n_views: int | None = None
    n_cases: int = 256
    hold_out: int = 8
    looks: CortexOptions = field(default_factory=CortexOptions)

    @property
    def cortex(self) -> dict[str, Any]:
        """Keyword arguments of the cortex."""
        return self.looks.cortex

    def about(self) -> dict[str, Any]:
        """The settings that shape what is learned, as JSON types; no places."""
        from ciliary.envs.objective.make import objective_mark

        values = {name: value for name, value in asdict(self).items() if name not in (*self.places, "looks")}
        # of the cortex's files what is in them counts, not their place
        values |= {name: value for name, value in self.cortex.items() if not name.endswith("_weights")}
        values |= self.looks.cortex_marks
        values |= {"objective": objective_mark(self.objective, perceiver=cortex_name(self.looks.inherited))}
        about: dict[str, Any] = json.loads(json.dumps(values))
        return about

    def _expect(self, *counts: str) -> None:
        low = {name: getattr(self, name) for name in counts if getattr(self, name) < 1}
        if low or self.hold_out < 2:
            raise ValueError(f"expected counts >= 1 and hold_out >= 2, got {low or {'hold_out': self.hold_out}}")


def _default_training() -> TrainingSettings:
    from ciliary.agents.training.through_cortex import TrainingSettings

    return TrainingSettings()


@dataclass(frozen=True, kw_only=True)
class GradientSettings(LearningSettings):
    """A policy trained through the cortex. The photographs held out choose when to stop.

    Attributes:
        size_px: long side; images are cropped to 4 : 3.
        n_check_cases: disturbed photographs, of those held out, to stop by.
        without: kinds of disturbance to leave out.
        training: see :class:`ciliary.agents.training.through_cortex.TrainingSettings`.
    """

    out: Path = Path("runs/policies/gradient")
    size_px: int = 128
    n_cases: int = 240
    n_check_cases: int = 40
    without: tuple[str, ...] = ()
    training: TrainingSettings = field(default_factory=_default_training)

    def __post_init__(self) -> None:
        self._expect("n_cases", "n_check_cases")
        self.disturbances  # noqa: B018 -- says which are unknown

    @property
    def disturbances(self) -> tuple[DisturbanceSpec, ...]:
        """One case in three is clean; the kinds share the rest."""
        from ciliary.envs.data.disturbances import DISTURBANCES, MIXED_V0

        if unknown := sorted(set(self.without) - set(DISTURBANCES)):
            raise ValueError(f"unknown disturbance(s) {unknown}; choose from {', '.join(DISTURBANCES)}")
        kinds = [kind for kind in MIXED_V0 if kind not in self.without]
        specs: list[DisturbanceSpec] = []
        for i, kind in enumerate(kinds):
            specs += [kind] if i % 2 else [None, kind]
        return tuple(specs)

    def about(self) -> dict[str, Any]:
        """As for all, with the algorithm's name."""
        return {"algo": "gradient", **super().about()}


def with_training(settings: GradientSettings, **changes: Any) -> GradientSettings:
    """The settings with some of their training settings replaced."""
    return replace(settings, training=replace(settings.training, **changes))


@dataclass(frozen=True, kw_only=True)
class RlSettings(LearningSettings):
    """A policy trained by reinforcement.

    Attributes:
        algo: ``ppo`` or ``sac``.
        n_steps: environment steps in all, >= 1; each is one look at one image under one setting.
        shape_px: (height, width) that photographs are cropped and shrunk to, >= 32.
        n_envs: episodes side by side.
        episode_steps: steps of an episode.
        action_mode, max_step: what an action does to u, see :class:`ciliary.envs.dynamics.Rules`.
        n_eval_cases: disturbed photographs, of those held out, to evaluate on.
        has_image: whether the policy sees the image itself and not only statistics, terms and u.
        hidden: widths of the hidden layers.
        gamma: discount; rewards telescope, so a short view loses little and learns faster.
        learning_rate: None is the algorithm's own (3e-4).
        checkpoint_every, evaluate_every: steps between two checkpoints, two evaluations.
        seed: of images, disturbances, views, network and exploration.
    """

    places: ClassVar[tuple[str, ...]] = ("out", "images", "n_steps", "checkpoint_every", "evaluate_every")

    algo: Algorithm = "ppo"
    out: Path = Path("runs/policies/rl")
    n_steps: int = 20_000
    shape_px: tuple[int, int] = (64, 96)
    n_envs: int = 8
    episode_steps: int = 4
    action_mode: ActionMode = "delta"
    max_step: float = 0.25
    n_eval_cases: int = 16
    has_image: bool = False
    hidden: tuple[int, ...] = (64, 64)
    gamma: float = 0.8
    learning_rate: float | None = None
    checkpoint_every: int = 2000
    evaluate_every: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        from ciliary.envs.dynamics import Rules

        if self.algo not in get_args(Algorithm):
            raise ValueError(f"expected algo to be one of {get_args(Algorithm)}, got {self.algo!r}")
        self._expect(
            "n_steps", "n_envs", "episode_steps", "n_cases", "n_eval_cases", "checkpoint_every", "evaluate_every"
        )
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"expected gamma in [0, 1], got {self.gamma}")
        Rules(self.action_mode, self.max_step)

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.learning_rate or 3e-4


@dataclass(frozen=True)
class MatureSettings:
    """What to train a cortex on, and where.

    Attributes:
        curriculum: see :mod:`ciliary.tuning.training.curriculum`.
        images: ``bundled``, or folders of photographs.
        out: folder of the weights, the checkpoint, the curves and the tracking store.
        device: where it is computed; what is kept lies on the CPU.
    """

    curriculum: Curriculum
    images: tuple[str | Path, ...] = ("bundled",)
    out: Path = Path("runs/cortex")
    device: str = "auto"
