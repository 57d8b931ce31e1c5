"""Worlds whose optimum is known, for learning algorithms."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.vec_env import DummyVecEnv

from ciliary.envs.toy import ToyEnv
from ciliary.tuning.training.rl_learning import learn
from ciliary.tuning.training.settings import RlSettings

N_PARAMETERS = 3


class SameEpisodes(DummyVecEnv):
    """Begins with the same episodes at every reset."""

    def reset(self):
        self.seed(1)
        return super().reset()


def toys(kind, n_envs, settings):
    def make():
        toy = ToyEnv(
            n_parameters=N_PARAMETERS,
            is_context_visible=True,
            action_mode=settings.action_mode,
            max_step=settings.max_step,
        )
        return TimeLimit(toy, settings.episode_steps)

    return kind([make] * n_envs)


def learn_toy(out, *, n_eval=4, is_quiet=True, **more):
    """A training on the toy; small unless told otherwise."""
    few = {"n_steps": 32, "n_envs": 2, "checkpoint_every": 16, "evaluate_every": 16, "hidden": (16,)}
    settings = RlSettings(out=out, **(few | more))
    envs, eval_envs = toys(DummyVecEnv, settings.n_envs, settings), toys(SameEpisodes, n_eval, settings)
    return learn(settings, envs, eval_envs, about=settings.about(), is_quiet=is_quiet)


class Bowls:
    """C quadratic bowls; the statistics show where the bottom of each is, if they may."""

    def __init__(self, n, seed, *, is_visible=True):
        rng = np.random.default_rng(seed)
        self.optimum = torch.as_tensor(rng.uniform(-0.8, 0.8, (n, N_PARAMETERS)), dtype=torch.float32)
        self.is_visible = is_visible
        self.default_u = np.zeros(N_PARAMETERS, np.float32)

    def __len__(self):
        return len(self.optimum)

    def bases(self, rows):
        return torch.zeros(len(rows), N_PARAMETERS)

    def judge(self, rows, u):
        total = ((u - self.optimum[rows]) ** 2).sum(1)
        shown = self.optimum[rows] if self.is_visible else torch.zeros(len(rows), N_PARAMETERS)
        terms = total.detach()[:, None] * float(self.is_visible)
        obs = {"statistics": shown, "terms": terms, "u": u.detach().clone()}
        return total, obs
