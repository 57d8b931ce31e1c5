import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.data.disturbances import DISTURBANCES
from ciliary.envs.data.reading import UnreadableImage
from ciliary.envs.episode import crop, draw_episode, resize, stretch
from ciliary.envs.objective.terms import Objective
from ciliary.envs.observation import OBSERVED_TERMS, STATISTICS
from ciliary.envs.single import AccommodationEnv
from ciliary.testing.environment import EnvironmentContract
from ciliary_tests.photographs import photographs

ID = "Ciliary/Accommodation-v0"
QUICK = {"source": photographs(), "size_px": 48, "n_views": 2, "objective": "raw", "disturbances": "all"}


def make(**settings):
    return gym.make(ID, **(QUICK | settings))


class TestContract(EnvironmentContract):
    env_id = ID
    settings = QUICK


@pytest.fixture(scope="module")
def env():
    return make(patience=0)


# --- which episode


def test_the_seed_chooses_the_image_and_the_disturbance(env):
    def context(seed):
        episode = draw_episode(np.random.default_rng(seed), QUICK["source"], {}, disturbances="all", size_px=32)
        return episode.photograph.name, str(episode.disturbance), episode.views_seed

    contexts = [context(seed) for seed in range(30)]
    assert contexts == [context(seed) for seed in range(30)]
    assert {name for name, _, _ in contexts} == {photograph.name for photograph in QUICK["source"]}
    assert len(set(contexts)) == 30
    assert env.reset(seed=4)[1]["context_id"] == env.reset(seed=4)[1]["context_id"]


def test_unseeded_resets_go_on_with_the_generator(env):
    env.reset(seed=3)
    following = [env.reset()[1]["context_id"] for _ in range(6)]
    assert len(set(following)) > 1
    env.reset(seed=3)
    assert [env.reset()[1]["context_id"] for _ in range(6)] == following


def test_options_name_the_image_by_index_name_or_itself(env):
    source = QUICK["source"]
    for wanted in (1, source[1].name, source[1]):
        env.reset(seed=0, options={"image": wanted})
        assert env.unwrapped.photograph is source[1]


@pytest.mark.parametrize("wanted", [99, -1, "nobody"])
def test_an_image_that_is_not_there_is_named(env, wanted):
    with pytest.raises(ValueError, match=r"image"):
        env.reset(seed=0, options={"image": wanted})


def test_a_file_is_read_where_its_path_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("coins.png")
    for wanted in ("coins.png", tmp_path / "coins.png"):
        episode = draw_episode(np.random.default_rng(0), QUICK["source"], {"image": wanted}, size_px=60)
        assert (episode.i_image, episode.photograph.name, episode.photograph.original_size) == (-1, "coins", (80, 120))
        assert episode.image.shape == (3, 40, 60)
    with pytest.raises(ValueError, match=r"gym\.make\(\.\.\., source='gone\.png'\)"):
        draw_episode(np.random.default_rng(0), QUICK["source"], {"image": "gone.png"}, size_px=60)


def test_options_change_what_they_name_and_nothing_else(env):
    def episode(**options):
        env.reset(seed=5, options=options)
        return env.unwrapped.episode

    free = episode(image=0)
    same = episode(image=0, disturbance=str(free.disturbance))
    torch.testing.assert_close(same.image, free.image, rtol=0, atol=0)
    stretched = episode(image=0, normalise=True)
    assert stretched.views_seed == free.views_seed
    torch.testing.assert_close(stretched.image, stretch(free.image), rtol=0, atol=0)
    assert episode(image=0, views_seed=7).views_seed == 7


def test_clean_is_clean_and_fog_is_not(env):
    env.reset(seed=0, options={"image": 0, "disturbance": None})
    inner = env.unwrapped
    clean = inner.image
    torch.testing.assert_close(clean, resize(inner.photograph.image, size_px=48))
    env.reset(seed=0, options={"image": 0, "disturbance": "none"})
    torch.testing.assert_close(inner.image, clean)
    env.reset(seed=0, options={"image": 0, "disturbance": "fog:4"})
    assert (inner.image - clean).abs().mean() > 0.05


def test_severity_is_drawn_where_it_is_not_given():
    rng = np.random.default_rng(0)
    drawn = [draw_episode(rng, QUICK["source"], {"disturbance": "jpeg"}, size_px=32).disturbance for _ in range(60)]
    assert {d.severity for d in drawn} == {1, 2, 3, 4, 5}


def test_disturbed_only_when_asked_and_all_are_clean_and_all_eight():
    rng = np.random.default_rng(0)
    drawn = [draw_episode(rng, QUICK["source"], {}, disturbances="all", size_px=32) for _ in range(120)]
    assert {episode.disturbance.name for episode in drawn} == {"none", *DISTURBANCES}
    asked_for_none = [draw_episode(rng, QUICK["source"], {}, size_px=32) for _ in range(20)]
    assert {episode.disturbance.name for episode in asked_for_none} == {"none"}


def test_a_sampler_is_asked():
    env = make(disturbances=lambda rng: f"jpeg:{rng.integers(2, 4)}")
    severities = {env.reset(seed=seed)[1]["disturbance"] for seed in range(12)}
    assert severities == {"jpeg:2", "jpeg:3"}


# --- images of any shape


def test_images_keep_their_shape_and_the_observation_its_own(env):
    shapes = set()
    for i_image in range(len(QUICK["source"])):
        obs, _ = env.reset(seed=0, options={"image": i_image})
        shapes.add(tuple(env.unwrapped.image.shape))
        assert obs["image"].shape == (3, 48, 48)
    assert len(shapes) > 1
    assert all(max(shape[1:]) == 48 for shape in shapes)


def test_resize_shrinks_the_long_side_and_crop_keeps_the_centre():
    image = torch.zeros(3, 80, 160)
    image[:, :, 40:120] = 1
    assert resize(image, size_px=200) is image
    assert resize(image, size_px=80).shape == (3, 40, 80)
    assert resize(image, size_px=48).shape == (3, 32, 48)  # no side under 32 px
    torch.testing.assert_close(crop(image, shape_px=(40, 40)), torch.ones(3, 40, 40))


def test_stretch_by_hand():
    image = torch.linspace(0.25, 0.75, 101).expand(3, 1, 101)
    out = stretch(image)
    assert out.min() == 0
    assert out.max() == 1
    assert out[0, 0, 50] == pytest.approx(0.5, abs=1e-4)
    flat = torch.full((3, 8, 8), 0.3)
    torch.testing.assert_close(stretch(flat), flat)


# --- what is seen


def test_disturbance_is_hidden(env):
    obs, info = env.reset(seed=0, options={"disturbance": "motion_blur:5"})
    assert set(obs) == {"image", "statistics", "terms", "u"}
    assert info["disturbance"] == "motion_blur:5"
    assert not any("disturb" in name or "severity" in name for name in STATISTICS)
    # nothing but the pixels tells: the same pixels without a disturbance give the same observation
    photograph = QUICK["source"][0]
    blurred = env.unwrapped.image
    handed_in = type(photograph)("blurred", blurred, tuple(blurred.shape[1:]), None)
    again, _ = env.reset(seed=0, options={"disturbance": None, "image": handed_in})
    for key in obs:
        np.testing.assert_array_equal(obs[key], again[key])


def test_observed_terms_are_those_of_info(env):
    obs, info = env.reset(seed=1)
    np.testing.assert_allclose(obs["terms"], [info["terms"][name] for name in OBSERVED_TERMS], rtol=1e-6)


def test_statistics_are_named_bounded_and_alive(env):
    rows = []
    rng = np.random.default_rng(0)
    for seed in range(6):
        env.reset(seed=seed)
        obs, *_ = env.step(rng.uniform(-1, 1, len(PARAMETERS)).astype(np.float32))
        rows.append(obs["statistics"])
    rows = np.array(rows)
    assert rows.shape[1] == len(STATISTICS) == len(set(STATISTICS))
    assert np.isfinite(rows).all()
    assert (rows.std(0) > 0).mean() >= 0.9


def test_a_percept_that_is_not_a_number_stays_in_the_space():
    class Broken(Objective):
        def __call__(self, percept, *args, **kwargs):
            n = percept.m4.masks.shape[0] // 3
            return {name: torch.full((n,), float("nan")) for name in OBSERVED_TERMS}

    env = make(objective=Broken())
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    obs, gain, terminated, *_ = env.step(np.zeros(len(PARAMETERS), np.float32))
    assert np.isfinite(gain)
    assert not terminated


# --- what controllers ask for


def test_percept_and_loss_at_u(env):
    _, info = env.reset(seed=2)
    inner = env.unwrapped
    assert inner.percept(inner.default_u).labels().shape == (1, *inner.image.shape[1:])
    assert len(inner.percept(np.stack([inner.default_u] * 3)).labels()) == 3
    u = torch.tensor(inner.default_u[None], requires_grad=True)
    loss = inner.loss(u)
    loss.sum().backward()
    assert loss.item() == pytest.approx(info["terms"]["total"], abs=1e-5)
    assert torch.isfinite(u.grad).all()
    assert u.grad.abs().sum() > 0


def test_evaluation_with_gradient_is_the_evaluation_and_the_slope_of_the_loss_pass_by_pass():
    inner = make().unwrapped
    inner.reset(seed=2)
    jitter = 0.05 * np.random.default_rng(0).normal(size=(3, len(PARAMETERS)))
    settings = np.clip(inner.default_u + jitter, -1, 1).astype(np.float32)
    u = torch.tensor(settings, requires_grad=True)
    (expected,) = torch.autograd.grad(inner.loss(u).sum(), u)
    plain, n_before = inner.evaluate(settings), inner.n_evaluations
    inner.evaluator.max_images = 1  # one setting a pass
    evaluation, gradient = inner.evaluate_with_gradient(settings)
    assert inner.n_evaluations == n_before + 3
    assert gradient.dtype == np.float64
    for name, values in plain.terms.items():
        np.testing.assert_allclose(evaluation.terms[name], values, atol=2e-4, err_msg=name)
    np.testing.assert_allclose(gradient, expected, rtol=1e-2, atol=2e-3 * float(expected.abs().max()))
    assert inner.objective_name == "raw"


def test_other_views_other_loss(env):
    env.reset(seed=2)
    u = env.unwrapped.default_u[None]
    totals = {float(env.unwrapped.evaluate(u, views_seed=seed).terms["total"][0]) for seed in range(3)}
    assert len(totals) == 3


def test_image_is_a_copy(env):
    env.reset(seed=0)
    env.unwrapped.image.zero_()
    assert env.unwrapped.image.max() > 0


@pytest.mark.parametrize(
    "settings", [{"n_views": 0}, {"size_px": 4}, {"disturbances": ()}, {"source": []}, {"render_mode": "human"}]
)
def test_wrong_settings_are_named(settings):
    with pytest.raises(ValueError, match="expected"):
        AccommodationEnv(**(QUICK | settings))


def test_sources_by_name(tmp_path):
    env = AccommodationEnv(size_px=48, objective="raw")
    assert "photographs" not in vars(env._source)  # nothing is read before it is needed
    env.reset(seed=0)
    assert len(env._source.photographs) > 3
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "night.png")
    for source, name in ((tmp_path, "night"), (str(tmp_path / "night.png"), "night"), ("scenes", None)):
        env = AccommodationEnv(source=source, size_px=48, objective="raw")
        _, info = env.reset(seed=0)
        assert info["image"] == (name or info["image"])
    with pytest.raises(UnreadableImage, match="no such file"):
        AccommodationEnv(source=str(tmp_path / "nowhere"), objective="raw").reset(seed=0)


def test_the_registered_world_is_reproducible():
    contexts = [gym.make(ID, size_px=48).reset(seed=11)[1]["context_id"] for _ in range(2)]
    assert contexts[0] == contexts[1]
