"""Trainings that version 0.1.0 began and today's version finishes (``tests/fixtures/v0/trainings``)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ciliary.agents.controllers.sb3 import load_sb3
from ciliary.agents.training.through_cortex import Training, TrainingSettings
from ciliary.tuning.cli.settings import CortexOptions
from ciliary.tuning.training import rl_learning as learning
from ciliary_tests.toy_worlds import Bowls, learn_toy

V0 = Path(__file__).parents[2] / "fixtures" / "v0" / "trainings"


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_reinforcement_goes_on_from_its_checkpoint(out, monkeypatch, algo):
    shutil.copytree(V0 / algo, out, dirs_exist_ok=True)
    monkeypatch.setattr(learning, "_ROLLOUT_STEPS", 8)
    steps = []
    load = learning.load_checkpoint

    def watched(*arguments):
        model = load(*arguments)
        steps.append(model.num_timesteps)
        return model

    monkeypatch.setattr(learning, "load_checkpoint", watched)
    path = learn_toy(out, algo=algo, n_steps=32, objective="raw", hidden=(4,), looks=CortexOptions(inherited="none"))
    assert steps == [16]  # the pickled experience of then is not read: to unpickle is to run
    assert load_sb3(path).about["algo"] == algo
    rows = [json.loads(line) for line in (out / "progress.jsonl").open()]
    assert [row["step"] for row in rows if "eval/mean_reward" in row] == [0, 16, 32]


def test_through_a_world_it_goes_on_to_the_digit():
    settings = TrainingSettings(n_iterations=40, n_check=10, jitter=0.05, learning_rate=1e-2, n_hidden=4)
    job = Training([Bowls(32, 0)], [Bowls(16, 1)], settings)
    job.load(V0 / "bowls.pt")
    assert job.i_iteration == 20
    job.run()
    expected = json.loads((V0 / "bowls.json").read_text())
    assert [list(check.totals) for check in job.checks] == [pytest.approx(totals, rel=1e-5) for totals in expected]
