"""Training by reinforcement: it learns, it is logged, it goes on where it stopped."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
from PIL import Image
from stable_baselines3.common.vec_env import DummyVecEnv

from ciliary.agents import run_episode
from ciliary.agents.controllers.sb3 import Sb3Controller, load_sb3
from ciliary.agents.training.pool import fixed_cases, split
from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.data.sources import scenes
from ciliary.envs.toy import ToyEnv
from ciliary.tuning.cli.stopping import Stopped
from ciliary.tuning.runs.store import TRAININGS, open_store
from ciliary.tuning.training import rl_learning as learning
from ciliary.tuning.training.curves import Curve
from ciliary.tuning.training.rl_job import train_rl
from ciliary.tuning.training.rl_learning import latest_checkpoint, load_checkpoint
from ciliary.tuning.training.settings import RlSettings
from ciliary_tests.toy_worlds import N_PARAMETERS, learn_toy, toys


@pytest.fixture(autouse=True)
def _short_rollouts(monkeypatch):
    monkeypatch.setattr(learning, "_ROLLOUT_STEPS", 8)


def runs_of(out):
    store = open_store(out, experiment=TRAININGS)
    return store, store.client.search_runs([store.experiment_id])


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_a_training_leaves_a_policy_a_curve_and_a_finished_run(out, algo):
    path = learn_toy(out, algo=algo)
    assert path == out / "policy.zip"
    policy = load_sb3(path)
    assert type(policy.model).__name__ == algo.upper()
    assert policy.rules.max_step == 0.25
    assert policy.about["algo"] == algo
    assert "out" not in policy.about
    trace = run_episode(ToyEnv(n_parameters=N_PARAMETERS, action_mode="absolute"), Sb3Controller(path), 0)
    assert trace.n_trials == 5

    curve = [json.loads(line) for line in (out / "progress.jsonl").open()]
    gains = {row["step"]: row["eval/mean_reward"] for row in curve if "eval/mean_reward" in row}
    assert list(gains) == [0, 16, 32]
    store, (run,) = runs_of(out)
    assert run.info.status == "FINISHED"
    assert run.data.params["algo"] == algo
    logged = store.client.get_metric_history(run.info.run_id, "eval/mean_reward")
    assert {metric.step: metric.value for metric in logged} == pytest.approx(gains)
    assert {f.path for f in store.client.list_artifacts(run.info.run_id)} >= {"policy.zip", "progress.jsonl", "figures"}
    with Image.open(out / "learning_curve.png") as figure:
        assert figure.width > 500


def test_the_same_command_goes_on_with_more_steps_and_does_nothing_twice(out, monkeypatch):
    path = learn_toy(out, algo="sac")
    first = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(learning, "new_model", lambda *_: pytest.fail("began anew"))
        assert learn_toy(out, algo="sac").read_bytes() == first  # complete: nothing is done

    sizes = []
    load = learning.load_checkpoint

    def watched(*arguments):
        model = load(*arguments)
        sizes.append(model.replay_buffer.size())
        return model

    monkeypatch.setattr(learning, "load_checkpoint", watched)
    learn_toy(out, algo="sac", n_steps=48)
    assert latest_checkpoint(out / "checkpoints")[1] == 48
    assert sizes == [16]  # 32 steps of two copies
    steps = [step for step, _ in Curve(out / "progress.jsonl", 48).values("eval/mean_reward")]
    assert steps == [0, 16, 32, 48]
    _, (run,) = runs_of(out)  # one run for all of it
    assert run.info.status == "FINISHED"


def test_a_checkpoint_is_whole_or_is_none(out, monkeypatch):
    folder = out / "checkpoints"
    save = learning.save_buffer

    def killed_the_second_time(buffer, path):
        if latest_checkpoint(folder)[1] == 16:
            raise RuntimeError("killed")
        save(buffer, path)

    with monkeypatch.context() as patch:
        patch.setattr(learning, "save_buffer", killed_the_second_time)
        with pytest.raises(RuntimeError, match="killed"):
            learn_toy(out, algo="sac")
    assert {path.name for path in folder.iterdir()} == {"policy_16_steps.zip", "policy_replay_buffer_16_steps.npz"}
    learn_toy(out, algo="sac")
    names = {path.name for path in folder.iterdir()}
    assert names == {"policy_16_steps.zip", "policy_32_steps.zip", "policy_replay_buffer_32_steps.npz"}
    settings = RlSettings(algo="sac", out=out, hidden=(16,))
    model = load_checkpoint(settings, folder / "policy_32_steps.zip", toys(DummyVecEnv, 2, settings))
    assert model.replay_buffer.size() == 7 + 8  # of either start; the very step that saves is not in yet


def test_a_signal_ends_it_with_a_checkpoint_and_it_goes_on(out, monkeypatch):
    moved = learning.Bar.move

    def move_and_stop(self, n_done, **said):
        if n_done == 10:
            os.kill(os.getpid(), signal.SIGTERM)
        moved(self, n_done, **said)

    with monkeypatch.context() as patch:
        patch.setattr(learning.Bar, "move", move_and_stop)
        with pytest.raises(Stopped):
            learn_toy(out)
    assert latest_checkpoint(out / "checkpoints")[1] == 10
    assert not (out / "policy.zip").exists()
    assert runs_of(out)[1][0].info.status == "KILLED"

    learn_toy(out)
    assert latest_checkpoint(out / "checkpoints")[1] >= 32
    assert [run.info.status for run in runs_of(out)[1]] == ["FINISHED"]


def test_a_failure_is_told_and_another_training_is_refused(out, monkeypatch):
    def breaks(*_):
        raise RuntimeError("no gradient today")

    with monkeypatch.context() as patch:
        patch.setattr(learning, "new_model", breaks)
        with pytest.raises(RuntimeError, match="no gradient today"):
            learn_toy(out)
    _, (run,) = runs_of(out)
    assert run.info.status == "FAILED"
    assert "no gradient today" in run.data.tags["ciliary.error"]
    with pytest.raises(ValueError, match="differs in gamma, seed"):
        learn_toy(out, gamma=0.5, seed=3)


def test_lines_of_a_lost_past_are_dropped(tmp_path):
    curve = Curve(tmp_path / "c.jsonl", 0)
    for step in (0, 10, 20):
        curve.log({"a": np.float32(step), "word": "x"}, step)
    assert Curve(tmp_path / "c.jsonl", 10).values("a") == [(0, 0.0), (10, 10.0)]
    assert len((tmp_path / "c.jsonl").read_text().splitlines()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["raw", "calibrated"])
def test_on_photographs(out, tmp_path, monkeypatch, objective):
    monkeypatch.setattr(learning, "_ROLLOUT_STEPS", 2)
    rng = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(3):
        blocks = np.kron(rng.integers(0, 255, (4, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(blocks).save(photos / f"{i}.png")
    few = {"n_steps": 4, "n_envs": 1, "episode_steps": 2, "n_cases": 2, "n_eval_cases": 1, "hidden": (4,)}
    settings = RlSettings(images=photos, out=out, shape_px=(32, 48), objective=objective, **few)
    policy = load_sb3(train_rl(settings, is_quiet=True))
    assert set(policy.model.observation_space.spaces) == {"statistics", "terms", "u"}
    assert policy.about["shape_px"] == [32, 48]
    assert policy.about["names"] == list(PARAMETERS.names)
    widths = {name: space.shape[0] for name, space in policy.model.observation_space.spaces.items()}
    assert (len(policy.about["statistics"]), len(policy.about["terms"])) == (widths["statistics"], widths["terms"])
    assert policy.about["n_photographs"] == 2
    assert str(tmp_path) not in json.dumps(policy.about)
    (photos / "2.png").unlink()
    with pytest.raises(ValueError, match="differs in cases, n_photographs"):
        train_rl(settings, is_quiet=True)


def test_cases_go_round():
    photographs = scenes(seeds=[0], kinds=["discs", "stripes"], size=(48, 48))
    kinds = (None, "fog:2")
    cases = fixed_cases(photographs, 4, shape_px=(32, 48), disturbances=kinds)
    assert [case.name for case in cases] == ["discs_0/none", "stripes_0/fog:2", "discs_0/fog:2", "stripes_0/none"]
    assert all(case.image.shape == (3, 32, 48) for case in cases)
    again = fixed_cases(photographs, 4, shape_px=(32, 48), disturbances=kinds)
    assert all((a.image == b.image).all() for a, b in zip(cases, again, strict=True))


def test_every_so_many_th_photograph_is_held_out():
    photographs = scenes(seeds=range(3), kinds=["discs", "stripes", "grating"][:2])
    training, held_out = split(photographs, 3)
    assert [len(training), len(held_out)] == [4, 2]
    assert {p.name for p in training} | {p.name for p in held_out} == set(photographs.names)
    assert len(split(photographs, 99)[1]) == 1
    with pytest.raises(ValueError, match="at least 2"):
        split(photographs[:1], 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algo": "dqn"}, "'ppo', 'sac'"),
        ({"n_steps": 0}, "n_steps"),
        ({"hold_out": 1}, "hold_out"),
        ({"gamma": 1.5}, "gamma"),
        ({"max_step": 3.0}, "max_step"),
    ],
)
def test_settings_say_what_is_wrong(changes, words):
    with pytest.raises(ValueError, match=words):
        RlSettings(**changes)


@pytest.mark.slow
@pytest.mark.parametrize(("algo", "n_steps"), [("ppo", 6000), ("sac", 3000)])
def test_it_learns_the_toy(out, algo, n_steps, monkeypatch):
    """The optimum is on view; after some thousand steps at most a fifth of the defaults' loss is left."""
    monkeypatch.setattr(learning, "_ROLLOUT_STEPS", 32)
    path = learn_toy(out, algo=algo, n_steps=n_steps, n_envs=8, evaluate_every=n_steps, n_eval=16, hidden=(64, 64))
    left = []
    for seed in range(16):
        env = ToyEnv(n_parameters=N_PARAMETERS, is_context_visible=True, action_mode="absolute")
        trace = run_episode(env, Sb3Controller(path), 1000 + seed)
        left.append(trace.total[-1] / trace.before["total"])  # the last setting, not the best one seen
    assert np.mean(left) < 0.2
