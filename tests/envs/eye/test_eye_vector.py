import gymnasium as gym
import numpy as np
import pytest

QUICK = {"size_px": (64, 80), "width_deg": 10.0, "window_px": 32, "scenes": "synthetic"}


@pytest.mark.parametrize("env_id", ["Ciliary/Focus-v0", "Ciliary/Eye-v0"])
def test_rows_are_the_single_environments(env_id):
    envs = gym.make_vec(env_id, num_envs=3, **QUICK, patience=0)
    singles = [gym.make(env_id, **QUICK, patience=0) for _ in range(3)]
    obs, info = envs.reset(seed=4)
    alone = [one.reset(seed=4 + i) for i, one in enumerate(singles)]
    rng = np.random.default_rng(0)
    for _ in range(3):
        for i, (told, about) in enumerate(alone):
            for name, values in told.items():
                rough = 1 if values.dtype == np.uint8 else 2e-3
                np.testing.assert_allclose(obs[name][i].astype(float), values.astype(float), atol=rough)
            assert info["terms"]["total"][i] == pytest.approx(about["terms"]["total"], abs=1e-4)
            assert info["hidden"]["object_dpt"][i] == about["hidden"]["object_dpt"]
            assert info["n_samples"][i] == about["n_samples"]
        actions = rng.uniform(-1, 1, envs.action_space.shape).astype(np.float32)
        obs, paid, over, cut, info = envs.step(actions)
        steps = [one.step(action) for one, action in zip(singles, actions, strict=True)]
        np.testing.assert_allclose(paid, [step[1] for step in steps], atol=1e-4)
        assert not over.any()
        assert not cut.any()
        alone = [(step[0], step[4]) for step in steps]
    assert envs.observation_space.contains(obs)


def test_an_episode_that_is_over_begins_anew_and_the_others_go_on():
    envs = gym.make_vec("Ciliary/Focus-v0", num_envs=2, max_episode_steps=2, **QUICK, patience=0)
    envs.reset(seed=0)
    envs.step(np.ones((2, 1), np.float32))
    _, info = envs.reset(options={"reset_mask": np.array([True, False])})
    assert info["n_looks"].tolist() == [1, 2]
    _, _, _, cut, info = envs.step(np.zeros((2, 1), np.float32))
    assert cut.tolist() == [False, True]
    obs, paid, _, cut, info = envs.step(np.ones((2, 1), np.float32))
    assert info["n_looks"].tolist() == [3, 1]
    assert info["n_samples"].tolist() == [3 * 2592, 2592]
    assert paid[1] == 0
    assert cut.tolist() == [True, False]
    assert info["eye"]["focus_dpt"][1] == pytest.approx(1.0)
    assert obs["time"][:, 0] == pytest.approx([2 / 16, 0])


def test_what_cannot_be_is_named():
    envs = gym.make_vec("Ciliary/Eye-v0", num_envs=2, **QUICK)
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(np.zeros((2, 4), np.float32))
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="finite"):
        envs.step(np.full((2, 4), np.nan))
    with pytest.raises(ValueError, match="shape"):
        envs.step(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="reset_mask"):
        envs.reset(options={"reset_mask": np.zeros(2, bool)})
    with pytest.raises(ValueError, match="one seed"):
        envs.reset(seed=[1])
