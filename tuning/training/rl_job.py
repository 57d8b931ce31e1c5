"""Policies trained by reinforcement learning: PPO or SAC of stable-baselines3 on many images at once.

PPO: Schulman et al. 2017; SAC: Haarnoja et al. 2018. An episode is a few steps on one disturbed photograph; the reward
is the fall of the objective's total, so an episode's return is what the policy gains on that photograph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ciliary.agents.training.cases import fixed_cases, split
from ciliary.agents.training.vec_env import AccommodationVecEnv
from ciliary.envs.data.reading import Photograph
from ciliary.envs.dynamics import ActionMode, Rules
from ciliary.envs.evaluator import open_source
from ciliary.envs.objective.calibrated import objective_mark
from ciliary.envs.vector import AccommodationVectorEnv
from ciliary.tuning.evaluation.shared_panels import shared_objective
from ciliary.tuning.training.rl_learning import learn

Algorithm = Literal["ppo", "sac"]

# Settings that name places or say when to stop, not what is learned: a training goes on when they change.
_PLACES = ("out", "images", "n_steps", "checkpoint_every", "evaluate_every")


@dataclass(frozen=True)
class RlSettings:
    """What to train, on what, and for how long.

    Attributes:
        algo: ``ppo`` or ``sac``.
        images: ``bundled``, or a folder of photographs; every ``hold_out``-th is kept for evaluation.
        out: folder of the checkpoints, the curve, the policy and the tracking store.
        n_steps: environment steps in all, >= 1; each is one look at one image under one setting.
        shape_px: (height, width) that photographs are cropped and shrunk to, >= 32.
        objective: ``raw``, ``calibrated``, or the path of a calibration.
        n_views: views a percept is judged by (None: as many as the objective asks for); fewer are faster.
        depth, features: cues of the cortex.
        n_envs: episodes side by side.
        episode_steps: steps of an episode.
        action_mode, max_step: what an action does to u, see :class:`ciliary.envs.dynamics.Rules`.
        n_cases: disturbed photographs to learn from.
        n_eval_cases: disturbed photographs, of those held out, to evaluate on.
        hold_out: every so-many-th photograph is held out.
        has_image: whether the policy sees the image itself and not only statistics, terms and u.
        hidden: widths of the hidden layers.
        gamma: discount; rewards telescope, so a short view loses little and learns faster.
        learning_rate: None is the algorithm's own (3e-4).
        checkpoint_every, evaluate_every: steps between two checkpoints, two evaluations.
        seed: of images, disturbances, views, network and exploration.
    """

    algo: Algorithm = "ppo"
    images: str | Path = "bundled"
    out: Path = Path("runs/policies/rl")
    n_steps: int = 20_000
    shape_px: tuple[int, int] = (64, 96)
    objective: str = "calibrated"
    n_views: int | None = None
    depth: str = "none"
    features: str = "none"
    n_envs: int = 8
    episode_steps: int = 4
    action_mode: ActionMode = "delta"
    max_step: float = 0.25
    n_cases: int = 256
    n_eval_cases: int = 16
    hold_out: int = 8
    has_image: bool = False
    hidden: tuple[int, ...] = (64, 64)
    gamma: float = 0.8
    learning_rate: float | None = None
    checkpoint_every: int = 2000
    evaluate_every: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.algo not in get_args(Algorithm):
            raise ValueError(f"expected algo to be one of {get_args(Algorithm)}, got {self.algo!r}")
        counts = ("n_steps", "n_envs", "episode_steps", "n_cases", "n_eval_cases", "checkpoint_every", "evaluate_every")
        low = {name: getattr(self, name) for name in counts if getattr(self, name) < 1}
        if low or self.hold_out < 2:
            raise ValueError(f"expected counts >= 1 and hold_out >= 2, got {low or {'hold_out': self.hold_out}}")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"expected gamma in [0, 1], got {self.gamma}")
        Rules(self.action_mode, self.max_step)

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.learning_rate or 3e-4

    def about(self) -> dict[str, Any]:
        """The settings that shape what is learned, as JSON types; no places."""
        values = {name: value for name, value in asdict(self).items() if name not in _PLACES}
        values |= {"shape_px": list(self.shape_px), "hidden": list(self.hidden)}
        return values | {"objective": objective_mark(self.objective)}


def train_rl(settings: RlSettings, *, is_quiet: bool = False) -> Path:
    """Train a policy, or go on with a training that was stopped.

    The folder ``settings.out`` belongs to one training. Given again, the same settings go on from its last checkpoint;
    with more steps also when it was complete. A stopped training does not repeat to the digit what an uninterrupted
    one would have done: it meets other episodes.

    Args:
        settings: what to do.
        is_quiet: no progress bar.

    Returns:
        the policy, ``out/policy.zip``: that of the best evaluation. Beside it lie ``last.zip``, ``checkpoints/``,
        ``progress.jsonl``, ``learning_curve.png`` and (without ``MLFLOW_TRACKING_URI``) ``mlflow.db``.

    Raises:
        ValueError: too few photographs, or the folder holds another training.
        UnreadableImage: the images cannot be read.
        StoreError: the tracking store cannot be opened.
        Stopped: by SIGINT or SIGTERM, after a checkpoint.
    """
    long_side_px = 2 * max(settings.shape_px)
    photographs = open_source(settings.images, long_side_px)
    training, held_out = split(photographs, settings.hold_out)
    cases = fixed_cases(training, settings.n_cases, shape_px=settings.shape_px, seed=settings.seed)
    others = fixed_cases(held_out, settings.n_eval_cases, shape_px=settings.shape_px, seed=settings.seed + 1)
    about = settings.about() | {"n_photographs": len(training), "cases": _digest((*cases, *others))}
    envs = make_envs(settings, cases, settings.n_envs)
    # as many copies as cases; each draws its own, always the same
    eval_envs = make_envs(settings, others, settings.n_eval_cases, reset_seed=settings.seed)
    return learn(settings, envs, eval_envs, about=about, is_quiet=is_quiet)


def make_envs(
    settings: RlSettings, cases: Sequence[Photograph], n_envs: int, *, reset_seed: int | None = None
) -> AccommodationVecEnv:
    """``n_envs`` episodes on cases, which are disturbed already; each is perceived by the panel once."""
    envs = AccommodationVectorEnv(
        n_envs,
        max_episode_steps=settings.episode_steps,
        shape_px=settings.shape_px,
        cortex={"depth": settings.depth, "features": settings.features},
        objective=shared_objective(settings.objective, n_kept=len(cases)),
        source=cases,
        disturbances=(None,),
        n_views=settings.n_views,
        action_mode=settings.action_mode,
        max_step=settings.max_step,
    )
    keys = None if settings.has_image else ("statistics", "terms", "u")
    return AccommodationVecEnv(envs, keys=keys, reset_seed=reset_seed)


def _digest(cases: Sequence[Photograph]) -> str:
    """Sixteen hex digits of all pixels of the cases."""
    total = hashlib.sha256()
    for case in cases:
        total.update(np.ascontiguousarray(case.image.numpy()).tobytes())
    return total.hexdigest()[:16]
