import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

import ciliary.envs  # noqa: F401  (registers the ids)
from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.vector import AccommodationVectorEnv
from ciliary_tests.photographs import photographs

ID = "Ciliary/Accommodation-v0"
QUICK = {
    "source": photographs(),
    "shape_px": (48, 48),
    "n_views": 2,
    "objective": "raw",
    "disturbances": "all",
}


def make(num_envs=3, **settings):
    return gym.make_vec(ID, num_envs=num_envs, **(QUICK | settings))


def play(vector, actions, seed=0):
    obs, info = vector.reset(seed=seed)
    steps = [(obs, np.zeros(vector.num_envs), None, None, info)]
    return steps + [vector.step(action) for action in actions]


@pytest.fixture(scope="module")
def actions():
    return np.random.default_rng(0).uniform(-1, 1, (5, 3, len(PARAMETERS))).astype(np.float32)


def test_make_vec_is_silent_and_gives_the_vector_environment():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vector = make()
    assert isinstance(vector.unwrapped, AccommodationVectorEnv)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert vector.unwrapped.max_episode_steps == gym.spec(ID).max_episode_steps
    assert vector.single_observation_space == gym.make(ID, **QUICK).observation_space
    assert vector.single_action_space == gym.make(ID, **QUICK).action_space


@pytest.mark.slow
def test_equals_gymnasium_s_own_vector_of_single_environments(actions):
    """Whole trajectories through autoresets: the oracle is SyncVectorEnv over the single environment."""
    settings = QUICK | {"patience": 0}

    def single():
        return gym.make(ID, max_episode_steps=2, **settings)

    oracle = gym.vector.SyncVectorEnv([single] * 3, autoreset_mode=AutoresetMode.NEXT_STEP)
    ours = play(make(max_episode_steps=2, patience=0), actions)
    for mine, theirs in zip(ours, play(oracle, actions), strict=True):
        for key in mine[0]:
            assert mine[0][key].dtype == theirs[0][key].dtype
            np.testing.assert_allclose(mine[0][key], theirs[0][key], atol=2e-4, err_msg=key)
        np.testing.assert_allclose(mine[1], theirs[1], atol=2e-4)
        if mine[2] is not None:
            np.testing.assert_array_equal(mine[2], theirs[2])
            np.testing.assert_array_equal(mine[3], theirs[3])
        assert list(mine[4]["context_id"]) == list(theirs[4]["context_id"])
        np.testing.assert_allclose(mine[4]["terms"]["total"], theirs[4]["terms"]["total"], atol=2e-4)
        np.testing.assert_array_equal(mine[4]["_terms"], theirs[4]["_terms"])
        np.testing.assert_allclose(mine[4]["theta"]["n_slots"], theirs[4]["theta"]["n_slots"], rtol=1e-5)
        np.testing.assert_array_equal(mine[4]["n_evaluations"], theirs[4]["n_evaluations"])
        assert set(theirs[4]) == set(mine[4])


def test_same_seed_same_everything_other_seed_another(actions):
    first, again, other = (play(make(), actions[:2], seed) for seed in (0, 0, 10))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a[1], b[1])
        for key in a[0]:
            np.testing.assert_array_equal(a[0][key], b[0][key])
    assert not np.array_equal(first[0][0]["image"], other[0][0]["image"])


def test_observations_are_in_their_space_and_share_no_memory(actions):
    vector = make()
    steps = play(vector, actions[:3])
    held = [value for step in steps for value in step[0].values()] + [step[4]["u"] for step in steps]
    for i, one in enumerate(held):
        assert not any(np.shares_memory(one, other) for other in held[i + 1 :])
    for step in steps:
        assert vector.observation_space.contains(step[0])


def test_one_forward_pass_for_all_episodes(actions):
    vector = make(max_images=100)
    n_images = []
    vector.unwrapped.evaluator.perceiver.register_forward_hook(lambda _, args, __: n_images.append(len(args[0])))
    vector.reset(seed=0)
    vector.step(actions[0])
    assert n_images == [9, 9]  # 3 episodes, each an image and 2 views


def test_next_step_autoreset_and_truncation_by_hand(actions):
    vector = make(max_episode_steps=2, patience=0)
    obs, info = vector.reset(seed=0)
    *_, truncated, _ = vector.step(actions[0])
    assert not truncated.any()
    _, _, terminated, truncated, last = vector.step(actions[1])
    assert truncated.all()
    assert not terminated.any()
    assert list(last["context_id"]) == list(info["context_id"])  # the last observation is the old episode's
    obs, rewards, terminated, truncated, new = vector.step(actions[2])
    assert not (terminated | truncated).any()
    np.testing.assert_array_equal(rewards, 0)
    np.testing.assert_array_equal(obs["u"], np.tile(vector.unwrapped.default_u, (3, 1)))
    assert list(new["context_id"]) != list(info["context_id"])
    *_, truncated, _ = vector.step(actions[3])
    assert not truncated.any()  # the clock began again


def test_convergence_ends_one_copy_and_leaves_the_others(actions):
    vector = make(patience=2)
    vector.reset(seed=0)
    action = actions[0] * np.array([[0], [1], [1]], dtype=np.float32)
    vector.step(action)
    *_, terminated, truncated, _ = vector.step(action * np.array([[0], [-1], [-1]], dtype=np.float32))
    assert terminated.tolist() == [True, False, False]
    assert not truncated.any()


def test_rewards_telescope(actions):
    vector = make(patience=0, step_cost=0.01)
    steps = play(vector, actions[:4])
    first, last = steps[0][4]["terms"]["total"], steps[-1][4]["terms"]["total"]
    np.testing.assert_allclose(sum(step[1] for step in steps), first - last - 4 * 0.01, atol=1e-9)


def test_options_reach_every_copy_and_one_may_be_reset_alone():
    vector = make()
    _, info = vector.reset(seed=0, options={"image": "disc", "disturbance": "fog:2"})
    assert list(info["context_id"]) == ["disc/fog:2"] * 3
    mask = np.array([False, True, False])
    _, info = vector.reset(seed=5, options={"image": "stripes", "disturbance": None, "reset_mask": mask})
    np.testing.assert_array_equal(info["_terms"], mask)
    assert [str(e.photograph.name) for e in vector.unwrapped.episodes] == ["disc", "stripes", "disc"]


def test_a_list_of_seeds_is_one_for_each():
    vector = make()
    _, counted = vector.reset(seed=4)
    _, listed = vector.reset(seed=[4, 5, 6])
    assert list(counted["context_id"]) == list(listed["context_id"])
    with pytest.raises(ValueError, match="one seed for each of 3"):
        vector.reset(seed=[1])


def test_render_gives_a_frame_for_each():
    vector = make(2, render_mode="rgb_array")
    vector.reset(seed=0)
    frames = vector.render()
    assert [frame.shape for frame in frames] == [(480, 640, 3)] * 2


def test_gymnasium_s_vector_wrappers_work(actions):
    vector = gym.wrappers.vector.RecordEpisodeStatistics(make(max_episode_steps=2, patience=0))
    vector.reset(seed=0)
    vector.step(actions[0])
    *_, info = vector.step(actions[1])
    assert info["episode"]["l"].tolist() == [2, 2, 2]


def test_what_cannot_be_is_named():
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        make().unwrapped.step(np.zeros((3, len(PARAMETERS)), np.float32))
    with pytest.raises(ValueError, match="num_envs"):
        AccommodationVectorEnv(0)
    vector = make()
    with pytest.raises(ValueError, match="reset_mask"):
        vector.reset(seed=0, options={"reset_mask": np.array([True])})


@pytest.mark.slow
def test_loss_is_the_batched_total_with_each_row_s_own_gradient(actions):
    vector = make().unwrapped
    with pytest.raises(gym.error.ResetNeeded):
        vector.loss(torch.zeros(3, len(PARAMETERS)))
    _, info = vector.reset(seed=4)
    u = torch.as_tensor(np.repeat(info["u"], 2, axis=0) + 0.2 * actions[:2].reshape(6, -1)).clamp(-1, 1)
    u.requires_grad_(True)
    loss = vector.loss(u)
    (gradient,) = torch.autograd.grad(loss.sum(), u)
    for i in range(3):
        single = gym.make(ID, **QUICK).unwrapped
        single.reset(seed=4 + i)
        rows = slice(2 * i, 2 * i + 2)  # two settings for each episode, episodes in order
        own, expected = single.evaluate_with_gradient(u[rows].detach().numpy())
        np.testing.assert_allclose(loss[rows].detach(), own.terms["total"], atol=2e-4)
        np.testing.assert_allclose(gradient[rows], expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max())
    with pytest.raises(ValueError, match="multiple of 3 episodes"):
        vector.loss(u[:4])
