"""The toy world, whose optimum is on view, for learning algorithms."""

from __future__ import annotations

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
