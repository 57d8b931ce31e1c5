"""Environments in forked processes, after their parent has computed something: they answer."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PLAYED = """
import gymnasium as gym, ciliary.envs, torch
torch.set_num_threads(2)
env = gym.make("Ciliary/Gaze-v0")
env.reset(seed=0)
env.step(env.action_space.sample())
envs = gym.make_vec("Ciliary/Gaze-v0", 2, "async", vector_kwargs={"context": "fork"})
envs.reset(seed=0)
envs.close()
assert torch.get_num_threads() == 2
print("played")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_after_a_step_does_not_hang():
    done = subprocess.run(
        [sys.executable, "-c", PLAYED],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "played", done.stderr
