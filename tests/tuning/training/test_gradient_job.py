"""The job of training through the cortex: it writes a policy that plays, resumes, and refuses another's folder."""

from dataclasses import replace

import numpy as np
import pytest

from ciliary.agents.controllers.policy import PolicyController, load_policy
from ciliary.agents.episode import run_episode
from ciliary.agents.training.through_cortex import TrainingSettings
from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.cli.stopping import Stopped
from ciliary.tuning.training import gradient_job as gradient
from ciliary.tuning.training.gradient_job import train_gradient
from ciliary.tuning.training.settings import GradientSettings, with_training

TINY = TrainingSettings(n_iterations=2, n_batch=2, n_check=1, n_hidden=8)


def small(out):
    few = {"size_px": 44, "n_cases": 3, "n_check_cases": 1, "n_views": 1}
    return GradientSettings(images="bundled", out=out, objective="raw", training=TINY, **few)


@pytest.fixture(scope="module")
def trained(make_out):
    """Settings of a training that is complete."""
    settings = small(make_out())
    train_gradient(settings, is_quiet=True)
    return settings


def test_the_policy_plays_and_says_where_it_comes_from(trained):
    path = trained.out / "policy.safetensors"
    policy = load_policy(path)
    assert policy.about["objective"] == "raw"
    assert policy.about["names"] == list(PARAMETERS.names)
    sizes = policy.network.shape
    assert (len(policy.about["statistics"]), len(policy.about["terms"])) == (sizes.n_statistics, sizes.n_terms)
    assert policy.about["n_photographs"] == 7
    assert policy.about["gain_on_held_out"] >= 0  # the best check, and the first one is before training
    assert {p.name for p in trained.out.iterdir()} >= {"policy.safetensors", "progress.jsonl", "learning_curve.png"}
    env = AccommodationEnv(size_px=48, objective="raw", n_views=1, action_mode="absolute")
    trace = run_episode(env, PolicyController(path), 0, {"image": "coffee"})
    assert trace.n_trials == 2
    expected = policy.propose(env.reset(seed=0, options={"image": "coffee"})[0])
    is_free = ~np.isin(env.parameter_names, env.frozen)
    np.testing.assert_allclose(trace.u[1][is_free], expected[is_free], atol=1e-6)


@pytest.mark.slow
def test_a_stopped_training_goes_on(out, monkeypatch):
    settings = small(out)
    real = gradient.Training.check

    def stop_after_one(self):
        check = real(self)
        if self.i_iteration == 1:
            self.save(settings.out / "checkpoint.pt")
            raise Stopped
        return check

    monkeypatch.setattr(gradient.Training, "check", stop_after_one)
    with pytest.raises(Stopped):
        train_gradient(settings, is_quiet=True)
    assert not (settings.out / "policy.safetensors").exists()
    monkeypatch.setattr(gradient.Training, "check", real)
    seen = []
    monkeypatch.setattr(gradient.Training, "step", lambda self: seen.append(self.i_iteration) or _count(self))
    train_gradient(settings, is_quiet=True)
    assert seen == [1]  # the first step was not made again


def _count(job):
    job.i_iteration += 1


def test_another_training_is_refused_its_folder(trained, monkeypatch):
    monkeypatch.setattr(gradient, "Training", lambda *_: pytest.fail("began anew"))
    train_gradient(trained, is_quiet=True)  # complete: nothing to do
    with pytest.raises(ValueError, match="differs in training; choose another folder"):
        train_gradient(with_training(trained, seed=1), is_quiet=True)


def test_a_kind_can_be_left_out():
    assert "fog" not in GradientSettings(without=("fog",)).disturbances
    specs = GradientSettings().disturbances
    assert specs.count(None) / len(specs) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="unknown disturbance"):
        GradientSettings(without=("rain",))
    with pytest.raises(ValueError, match="hold_out"):
        replace(GradientSettings(), hold_out=1)
