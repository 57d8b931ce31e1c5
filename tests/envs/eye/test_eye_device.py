"""An eye on any device, without one: what is made on the way lies where the scene does, and NumPy comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.envs import EyeConfig, EyeEnv, EyeVectorEnv
from ciliary.envs.data.active.scene import EyeScene, SceneFrames
from ciliary.envs.data.active.sequences import patch_film
from ciliary.envs.data.active.synthetic import planes_scene, slant_scene
from ciliary_tests.other_device import ELSEWHERE, OtherDevice, lying_here

SETTINGS = {"size_px": None, "window_px": 32, "n_layers": 3, "patience": 0}
SIZE = {"size_px": (64, 96), "px_per_deg": 8.0}


def stack():
    light = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    frames = SceneFrames(light, torch.tensor([0.5, 1.5, 4.0]), "focus_dpt")
    return EyeScene("stack", light[0], torch.zeros(1, 64, 96), 8.0, n_layers=1, frames=frames)


def film():
    still = {"n_frames": 12, "side_px": 24, "seed": 1}
    return patch_film(background_px=(0, 1), patch_px=(1, 0), **still, **SIZE)


CASES = {
    "planes": (lambda: planes_scene((0.5, 2.0, 4.0), **SIZE), {}),
    "slant": (lambda: slant_scene(**SIZE), {"photon_noise": False, "muscles": ("focus_dpt", "pupil_mm")}),
    "dim": (lambda: planes_scene((1.0,), **SIZE), {"rods": True, "white_cd_m2": 0.5}),
    "stack": (stack, {}),
    "film": (film, {"frames_per_look": 4}),
    "things": (lambda: planes_scene((1.0,), **SIZE), {"things": True, "mosaic_coarse": 1}),
}


@pytest.fixture
def elsewhere():
    """Fails, in the end, if tensors of two devices met; says on which lines."""
    with OtherDevice() as watched:
        yield watched
    assert list(dict.fromkeys(watched.mixed)) == []


def played(device, name):
    make, settings = CASES[name]
    env = EyeEnv(scenes=make(), device=device, render_mode="rgb_array", **(SETTINGS | settings))
    steps = [(*env.reset(seed=3), 0.0)]
    rng = np.random.default_rng(0)
    for _ in range(2):
        obs, paid, _, _, info = env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        steps.append((obs, info, paid))
    return env, steps, env.render()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in ("film", "things") else []) for name in CASES]
)
def test_an_episode_is_the_same_there(name, elsewhere):
    _, here, frame = played("cpu", name)
    env, there, frame_there = played(ELSEWHERE, name)
    world = env.world
    assert lying_here([world.sighting.glance.samples, world.sighting.window, world.mosaic, world.priority]) == []
    if name == "things":
        assert lying_here(world.things.memory) == []
    for (obs, info, paid), (obs_there, info_there, paid_there) in zip(here, there, strict=True):
        assert paid_there == paid
        assert info_there["terms"] == info["terms"]
        for key, values in obs.items():
            assert type(obs_there[key]) is np.ndarray
            assert np.array_equal(obs_there[key], values)
    assert np.array_equal(frame, frame_there)


def test_many_eyes_are_the_same_there(elsewhere):
    def rewards(device):
        envs = EyeVectorEnv(2, scenes=[film(), planes_scene((1.0,), **SIZE)], device=device, **SETTINGS)
        obs, _ = envs.reset(seed=1, options={"scene": [0, 1]})
        actions = np.full((2, 4), 0.2, np.float32)
        _, first, *_ = envs.step(actions)
        _, info = envs.reset(options={"reset_mask": np.array([True, False]), "scene": 1})
        _, second, *_ = envs.step(-actions)
        return [*obs.values(), first, second, info["terms"]["total"]]

    assert all(np.array_equal(one, other) for one, other in zip(rewards("cpu"), rewards(ELSEWHERE), strict=True))


def test_devices_by_name(monkeypatch):
    assert EyeConfig().lies_on == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert EyeConfig(device="auto").lies_on == torch.device("cpu")
    with pytest.raises(ValueError, match="auto, cpu, cuda"):
        EyeConfig(device="mps")
    with pytest.raises(ValueError, match="no cuda device"):
        EyeEnv(device="cuda")
