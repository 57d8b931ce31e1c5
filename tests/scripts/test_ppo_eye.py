"""PPO in one file: what flows back over the end of an episode, the first minibatch, and a run from end to end."""

from __future__ import annotations

import csv
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch

from ciliary_tests.loading import SCRIPTS, load_script

TINY = {"num_envs": 2, "num_steps": 18, "total_timesteps": 72, "num_minibatches": 2, "update_epochs": 2}


@pytest.fixture(scope="module")
def ppo():
    script = load_script("ppo_eye")
    script.SMALL = {"size_px": (48, 64), "n_layers": 2, "window_px": 32, "coarse": 8, "mosaic_coarse": 4}
    return script


def hand_worked(terminated):
    """Five steps: two of an episode that ends, the step that begins the next one, two of that, which goes on."""
    column = {
        "rewards": [1.0, 1, 0, 1, 1],
        "values": [1.0, 2, 4, 8, 16],
        "dones": [0.0, 1, 0, 0, 0],
        "terminations": [0.0, float(terminated), 0, 0, 0],
    }
    return {name: torch.tensor(values)[:, None] for name, values in column.items()}


@pytest.mark.parametrize(
    ("terminated", "expected"),
    [
        # deltas 1 + 2/2 - 1 = 1, 1 + 4/2 - 2 = 1 (4 is the value of the last look), -, 1 + 16/2 - 8, 1 + 32/2 - 16
        (False, [1 + 0.25, 1, None, 1 + 0.25, 1]),
        # nothing follows: 1 - 2 = -1
        (True, [1 - 0.25, -1, None, 1 + 0.25, 1]),
    ],
)
def test_advantages_by_hand(ppo, terminated, expected):
    found = ppo.gae(hand_worked(terminated), torch.tensor([32.0]), gamma=0.5, gae_lambda=0.5)[:, 0].tolist()
    assert [x for i, x in enumerate(found) if i != 2] == [x for x in expected if x is not None]


def test_trusting_rewards_alone_gives_the_discounted_returns(ppo):
    """With lambda 1 the advantages are what was paid, and what the last look is worth, less the values."""
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(2, 6, 3))
    rollout = {name: torch.zeros(6, 3) for name in ("dones", "terminations")}
    rollout |= {"rewards": torch.tensor(rewards), "values": torch.tensor(values)}
    last = rng.normal(size=3)
    found = ppo.gae(rollout, torch.tensor(last), gamma=0.9, gae_lambda=1.0).numpy()
    returns = [sum(0.9 ** (k - t) * rewards[k] for k in range(t, 6)) + 0.9 ** (6 - t) * last for t in range(6)]
    np.testing.assert_allclose(found + values, returns, atol=1e-6)


def made_up(agent, n_steps=8, n_envs=3):
    """A rollout of an agent in which nothing is learned but what is in ``advantages``."""
    rng = torch.Generator().manual_seed(0)
    obs = torch.randn(n_steps, n_envs, 5, generator=rng)
    with torch.no_grad():
        actions, logprobs, _, values = agent.get_action_and_value(obs.flatten(0, 1))
    shape = (n_steps, n_envs)
    is_real = torch.ones(shape)
    is_real[3, 1] = 0
    return {
        "obs": obs,
        "actions": actions.reshape(*shape, 2),
        "logprobs": logprobs.reshape(shape),
        "values": values.reshape(shape),
        "advantages": torch.randn(shape, generator=rng),
        "is_real": is_real,
    }


def updated(ppo, rollout_of=lambda rollout: rollout, **options):
    torch.manual_seed(0)
    agent = ppo.Agent(5, 2)
    optimizer = torch.optim.Adam(agent.parameters(), 1e-2)
    rollout = rollout_of(made_up(agent))
    torch.manual_seed(1)
    return ppo.update(agent, optimizer, rollout, ppo.Args(**options)), rollout


def test_the_first_minibatch_is_of_the_policy_that_acted(ppo):
    """Ratios are 1: nothing is clipped, nothing diverged, and the loss is minus the mean advantage."""
    found, rollout = updated(ppo, update_epochs=1, num_minibatches=1, norm_adv=False)
    real = rollout["advantages"][rollout["is_real"] > 0]
    assert found["losses/clipfrac"] == 0
    assert found["losses/approx_kl"] == pytest.approx(0, abs=1e-6)
    assert found["losses/policy_loss"] == pytest.approx(-real.mean().item(), abs=1e-6)
    assert found["losses/value_loss"] == pytest.approx(real.square().mean().item() / 2, rel=1e-5)
    assert found["losses/entropy"] == pytest.approx(2 * 0.5 * np.log(2 * np.pi * np.e), rel=1e-6)
    later, _ = updated(ppo, update_epochs=4, num_minibatches=1, norm_adv=False)
    assert later["losses/approx_kl"] > 1e-3


def test_a_step_that_only_begins_an_episode_teaches_nothing(ppo):
    def spoilt(rollout):
        for name in ("obs", "actions", "logprobs", "values", "advantages"):
            rollout[name][3, 1] = np.nan
        return rollout

    assert updated(ppo)[0] == updated(ppo, spoilt)[0]


def test_an_update_that_went_too_far_ends(ppo):
    short, long = (updated(ppo, update_epochs=6, num_minibatches=1, target_kl=kl)[0] for kl in (1e-4, None))
    assert short["losses/approx_kl"] < long["losses/approx_kl"]


def test_gaze_goes_the_part_of_the_way_that_the_action_says(ppo):
    envs = ppo.EyeCentred(gym.make_vec("ciliary.envs:Ciliary/Eye-v0", num_envs=3, scenes="synthetic", **ppo.SMALL))
    obs, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(obs)
    assert envs.single_action_space.shape == (3,)
    peak, world = obs[:, -3:-1], envs.unwrapped.world
    where = world.priority[:, 0].flatten(1).argmax(1).numpy()
    np.testing.assert_allclose(
        peak, np.stack([(where // 48 + 0.5) / 18 - 1, (where % 48 + 0.5) / 24 - 1], 1), atol=1e-6
    )
    actions = np.array([[-1, 0, 0], [0.5, 0.5, 0], [1, 0, -1]], np.float32)
    after = envs.step(actions)[0]
    np.testing.assert_allclose(after[:, :2], peak * np.array([[0], [0.5], [1]]), atol=1e-6)  # from the centre
    np.testing.assert_allclose(world.eye[:, 2], [1, 2, 1])
    np.testing.assert_allclose(world.eye[:, 3], [4, 4, 2])


@pytest.fixture(scope="module")
def trained(ppo):
    """Two updates, twice, and what the update was given."""
    args = ppo.Args(env_id="ciliary.envs:Ciliary/Focus-v0", **TINY)
    runs, given, update = [], [], ppo.update

    def watched(agent, optimizer, rollout, args):
        given.append(rollout)
        return update(agent, optimizer, rollout, args)

    ppo.update = watched
    for _ in range(2):
        told = []
        agent, rms = ppo.train(args, lambda step, values, told=told: told.append((step, values)))
        runs.append((told, agent, rms))
    ppo.update = update
    return runs, given


def test_the_same_seed_the_same_losses(trained):
    (told, agent, rms), (again, same, other) = trained[0]
    untimed = [
        [(step, {k: v for k, v in values.items() if k != "charts/SPS"}) for step, values in one]
        for one in (told, again)
    ]
    assert untimed[0] == untimed[1]
    assert len([1 for _, values in told if "losses/value_loss" in values]) == 2
    assert all(np.isfinite(list(values.values())).all() for _, values in told)
    assert all(torch.equal(a, b) for a, b in zip(agent.parameters(), same.parameters(), strict=True))
    np.testing.assert_array_equal(rms.mean, other.mean)


def test_the_step_after_the_end_is_known_for_what_it_is(trained):
    runs, given = trained
    for rollout in given:
        after = torch.cat([rollout["is_real"][1:], torch.ones(1, 2)])  # of the step that follows
        assert torch.equal(after[:-1], 1 - rollout["dones"][:-1])
        assert (rollout["rewards"][rollout["is_real"] == 0] == 0).all()
    assert sum(int((rollout["is_real"] == 0).sum()) for rollout in given) >= 2  # 18 steps hold an end
    assert runs[0][0][-1][0] == sum(int(rollout["is_real"].sum()) for rollout in given[:2])


@pytest.mark.slow
def test_it_runs_as_the_page_says(monkeypatch, tmp_path, capsys):
    """As the command line calls it: trained a little, told beside those who know nothing."""
    monkeypatch.chdir(tmp_path)
    script = load_script("ppo_eye")
    options = ["--total-timesteps", "320", "--num-steps", "18", "--eval-episodes", "16", "--rules", "eye-reflex"]
    monkeypatch.setattr(
        sys, "argv", [str(SCRIPTS / "ppo_eye.py"), "--seed", "2", "--eval-scenes", "synthetic", *options]
    )
    with pytest.raises(SystemExit) as ended:
        script.cyclopts.run(script.main)
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "episodic_return=" in said
    assert "SPS=" in said
    folder = tmp_path / "runs" / "ppo_eye" / "Eye-v0__2"
    with (folder / "returns_synthetic.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["nothing moves", "random actions", "eye-reflex", "PPO"]
    assert len(rows) == 16
    assert all(-0.1 < float(row["nothing moves"]) < 0 for row in rows)  # it pays for its looks, and sees no more
    kept = torch.load(folder / "agent.pt", weights_only=False)
    agent = script.Agent(len(kept["mean"]), 3)
    agent.load_state_dict(kept["agent"])
