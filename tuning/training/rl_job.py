"""Policies trained by reinforcement learning: PPO or SAC of stable-baselines3 on many images at once.

PPO: Schulman et al. 2017; SAC: Haarnoja et al. 2018. An episode is a few steps on one disturbed photograph; the reward
is the fall of the objective's total, so an episode's return is what the policy gains on that photograph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ciliary.agents.training.pool import columns_of, fixed_cases, split
from ciliary.agents.training.vec_env import AccommodationVecEnv
from ciliary.cortex.options import cortex_name
from ciliary.envs.data.images import open_images
from ciliary.envs.data.reading import Photograph
from ciliary.envs.vector import AccommodationVectorEnv
from ciliary.tuning.evaluation.shared_panels import shared_objective
from ciliary.tuning.training.rl_learning import learn
from ciliary.tuning.training.settings import RlSettings


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
    photographs = open_images(settings.images, long_side_px)
    training, held_out = split(photographs, settings.hold_out)
    cases = fixed_cases(training, settings.n_cases, shape_px=settings.shape_px, seed=settings.seed)
    others = fixed_cases(held_out, settings.n_eval_cases, shape_px=settings.shape_px, seed=settings.seed + 1)
    about = settings.about() | {"n_photographs": len(training), "cases": _digest((*cases, *others))}
    envs = make_envs(settings, cases, settings.n_envs)
    # as many copies as cases; each draws its own, always the same
    eval_envs = make_envs(settings, others, settings.n_eval_cases, reset_seed=settings.seed)
    columns = columns_of(envs.envs.evaluator.perceiver)
    return learn(settings, envs, eval_envs, about=about, columns=columns, is_quiet=is_quiet)


def make_envs(
    settings: RlSettings, cases: Sequence[Photograph], n_envs: int, *, reset_seed: int | None = None
) -> AccommodationVecEnv:
    """``n_envs`` episodes on cases, which are disturbed already; each is perceived by the panel once."""
    envs = AccommodationVectorEnv(
        n_envs,
        max_episode_steps=settings.episode_steps,
        shape_px=settings.shape_px,
        cortex=settings.cortex,
        device=settings.looks.device,
        objective=shared_objective(
            settings.objective, perceiver=cortex_name(settings.looks.inherited), n_kept=len(cases)
        ),
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
