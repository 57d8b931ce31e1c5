import numpy as np
import pytest
import torch

from ciliary.agents.eye.arbiter import MEMORY, N_COMMANDS
from ciliary.agents.eye.network import EyeNetwork, EyeNetworkShape
from ciliary.agents.eye.playing import play_eyes
from ciliary.agents.eye.policy import SHIPPED_EYE, EyePolicy, EyePolicyController, load_eye_policy
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.terms import STATISTICS
from ciliary.envs.eye.vector import EyeVectorEnv

SMALL = {"size_px": (64, 96), "width_deg": 10.0, "n_layers": 2, "window_px": 32, "coarse": 8, "mosaic_coarse": 4}
SIZES = {"eye": 4, "statistics": len(STATISTICS), "time": 1, "memory": len(MEMORY)}


def policy(sizes=SIZES, **shape):
    torch.manual_seed(0)
    return EyePolicy(
        EyeNetwork(EyeNetworkShape(sizes, **{"n_commands": N_COMMANDS if "memory" in sizes else 4, **shape}))
        .eval()
        .requires_grad_(False),
        {"n_saccades": 3},
    )


def observation(sizes=SIZES):
    rng = np.random.default_rng(0)
    maps = {
        "glance": rng.integers(0, 256, (3, 36, 72)).astype(np.uint8),
        "priority": rng.integers(0, 256, (1, 36, 48)).astype(np.uint8),
    }
    return maps | {name: rng.normal(size=n).astype(np.float32) for name, n in sizes.items()}


def eyes(n=1):
    scene = planes_scene((2.0,), size_px=(64, 96), px_per_deg=9.6)
    return EyeVectorEnv(n, scenes=[scene], photon_noise=False, **SMALL)


@pytest.mark.parametrize("has_maps", [False, True])
def test_a_file_gives_the_same_commands(tmp_path, has_maps):
    one = policy(has_maps=has_maps)
    path = tmp_path / "eye.safetensors"
    path.write_bytes(one.to_bytes())
    again = load_eye_policy(path)
    np.testing.assert_array_equal(again.command(observation()), one.command(observation()))
    assert again.about == one.about
    assert again.command(observation()).shape == (N_COMMANDS,)
    assert np.abs(again.command(observation())).max() <= 1


def test_what_is_no_policy_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="train eye"):
        load_eye_policy(tmp_path / "none.safetensors")
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a policy of an eye"):
        load_eye_policy(tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="trained on observations"):
        policy().command({"eye": np.zeros(4)})


def test_a_policy_plays_as_a_controller(tmp_path):
    path = tmp_path / "eye.safetensors"
    path.write_bytes(policy().to_bytes())
    given, read = (play_eyes(eyes(), EyePolicyController(one), [0], n_steps=3) for one in (policy(), path))
    assert given.gain == read.gain


def test_without_reflexes_commands_are_actions():
    sizes = {name: n for name, n in SIZES.items() if name != "memory"}
    one = policy(sizes, has_maps=True)
    with torch.no_grad():
        one.network.head.weight.zero_()
        one.network.head.bias.copy_(torch.tensor([0.5, -0.5, 0.25, 1.0]))
    envs = eyes()
    play_eyes(envs, EyePolicyController(one), [0], n_steps=1)
    np.testing.assert_allclose(envs.world.u[0, :2], [0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(envs.world.eye[0, 2:], [1.0 + 0.25 * 2, 8.0], atol=1e-5)


def test_entries_that_do_not_vary_are_left_out():
    network = policy().network
    obs = {name: torch.randn(50, n) for name, n in SIZES.items()}
    obs["time"][:] = 0.5
    network.encoder.standardise(obs)
    encoded = network.encoder(obs)
    time = SIZES["eye"] + SIZES["statistics"]
    assert encoded[:, time].abs().max() < 1e-5
    others = torch.cat([encoded[:, :time], encoded[:, time + 1 :]], 1)
    torch.testing.assert_close(others.mean(0), torch.zeros(others.shape[1]), atol=0.1, rtol=0)


def test_the_one_that_comes_along_knows_this_environment():
    one = load_eye_policy()
    assert one.is_arbiter
    assert one.promise is not None
    assert one.about["n_places"] == 3000
    assert SHIPPED_EYE.stat().st_size < 100_000
    assert np.isfinite(play_eyes(eyes(), EyePolicyController(), [0], n_steps=3).gain).all()
