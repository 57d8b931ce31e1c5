"""What a step of an environment costs, alone and in its vector form; anybody's environments, by the same loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym

import ciliary.envs  # noqa: F401 -- registers ours
from ciliary.tuning.benchmarks.settings import BenchmarkSettings
from ciliary.tuning.benchmarks.timing import About, Measured, Timing, Watch

#: Ours; those that perceive take the size of the images.
ENVIRONMENTS = ("Ciliary/Toy-v0", "Ciliary/Accommodation-v0", "Ciliary/Focus-v0", "Ciliary/Gaze-v0", "Ciliary/Eye-v0")
PERCEIVING = ("Ciliary/Accommodation-v0",)
N_STEPS = 20  # timed together, since some take microseconds; resets in between do not count
Env = Any
"""Of Gymnasium, or what has its ``reset`` and ``step``."""


def measure_steps(settings: BenchmarkSettings, *, device: str = "cpu") -> Iterator[Measured]:
    """Steps of random actions in each of :data:`ENVIRONMENTS`, single and vector."""
    for name in ENVIRONMENTS:
        size_px = settings.episode_sizes_px[0]
        about: About = {"device": device}
        options: dict[str, Any] = {}
        if name in PERCEIVING:
            options = {"size_px": size_px, "cortex": settings.cortex, "device": device}
            about |= {"size_px": size_px, "inherited": settings.inherited}
        n_steps = 1 if name in PERCEIVING else N_STEPS
        env = gym.make(name, **options)
        timing = time_steps(env, n_repeats=settings.n_repeats, n_steps=n_steps, seed=settings.seed)
        env.close()
        yield Measured("steps", name, "step", timing, about)
        n_envs = settings.n_envs
        envs = gym.make_vec(name, num_envs=n_envs, **options)
        timing = time_steps(envs, n_repeats=settings.n_repeats, n_steps=n_steps, n_envs=n_envs, seed=settings.seed)
        envs.close()
        yield Measured("steps", f"{name} x {n_envs}", "step of one", timing, {**about, "n_envs": n_envs})


def time_steps(env: Env, *, n_repeats: int, n_steps: int = N_STEPS, n_envs: int = 0, seed: int = 0) -> Timing:
    """A step of random actions, per environment; an episode that ends is begun again outside the time.

    Args:
        env: single, or vector with ``n_envs``, which begins again itself.
        n_repeats: timings, after one for warming up.
        n_steps: in each; 0 repeats are never taken.
        n_envs: of a vector; 0 of a single one.
        seed: of resets and actions.
    """
    env.reset(seed=seed)
    env.action_space.seed(seed)
    watch = Watch()
    for i in range(n_repeats + 1):
        done = 0
        wall, processor = 0.0, 0.0
        while done < n_steps:
            actions = [env.action_space.sample() for _ in range(n_steps - done)]
            taken = Watch()
            n = _steps_of(env, actions, taken, is_vector=n_envs > 0)
            wall, processor, done = wall + taken.wall_ms[0], processor + taken.processor_ms[0], done + n
        if i:
            watch.wall_ms.append(wall / (n_steps * max(1, n_envs)))
            watch.processor_ms.append(processor / (n_steps * max(1, n_envs)))
    return watch.timing


def _steps_of(env: Env, actions: list[Any], watch: Watch, *, is_vector: bool) -> int:
    """Steps until an episode ends; how many there were."""
    taken, is_over = 0, False

    def steps() -> None:
        nonlocal taken, is_over
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            taken += 1
            if not is_vector and (terminated or truncated):
                is_over = True
                return

    watch.time(steps)
    if is_over:
        env.reset()
    return taken
