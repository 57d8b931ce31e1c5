"""Whole episodes and objectives on torch's fake tensors of a device that is not there, with numbers beside them.

NumPy comes back, the CPU's to the last bit; what lies on the host is named. Terms that need no numbers are in
``test_fake_device.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.glance import GlancingPerceiver
from ciliary.envs import EyeEnv, EyeVectorEnv
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.data.active.sequences import patch_film
from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.data.sources import bundled
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.objective.agreement_objective import AgreementObjective
from ciliary.envs.objective.make import make_objective
from ciliary.envs.single import AccommodationEnv
from ciliary.envs.vector import AccommodationVectorEnv
from ciliary_tests.fake_device import BACKWARD
from ciliary_tests.fake_numbers import numbered_device

pytestmark = pytest.mark.slow  # some seconds each

SHAPE_PX = (32, 48)
#: What is drawn, told or kept on the host: photographs and views before they go, observations and settings after, and
#: who is asked in which order.
HOST = (
    "cortex/glance.py",
    "cortex/table.py",
    "envs/",
    "envs/data/",
    "envs/objective/agreement.py",
    "envs/objective/panel.py",
    "envs/objective/views.py",
)
#: The same of an eye: the prior of its gaze, photons drawn by a seed, which thing is which.
HOST_OF_EYE = (
    "cortex/model.py",
    "cortex/dorsal/priority.py",
    "cortex/eye/lattice.py",
    "cortex/eye/pupil.py",
    "cortex/memory/assignment.py",
    "envs/data/active/",
    "envs/eye/",
)
SIZE = {"size_px": (64, 96), "px_per_deg": 8.0}
EYE = {"size_px": None, "window_px": 32, "n_layers": 3, "patience": 0}
Arrays = list[np.ndarray]


def episode(cortex: Cortex) -> Arrays:
    """A look, a step, an evaluation, a frame."""
    env = AccommodationEnv(
        cortex=cortex, objective="raw", n_views=2, shape_px=SHAPE_PX, source="coffee", render_mode="rgb_array"
    )
    first, info = env.reset(seed=0)
    second, reward, *_ = env.step(np.full(env.n_parameters, 0.1, np.float32))
    terms = env.evaluate(env.u[None]).terms
    told = np.array([reward, *info["terms"].values()])
    return [*first.values(), *second.values(), *terms.values(), told, env.render()]


def episode_of_looks(cortex: Cortex) -> Arrays:
    env = AccommodationEnv(
        cortex=GlancingPerceiver([cortex]), objective="looks", with_looks=True, shape_px=SHAPE_PX, source="coffee"
    )
    first, _ = env.reset(seed=0)
    env.step(np.full(env.n_parameters, 0.1, np.float32))
    u = np.stack([env.default_u, env.u])
    env.take_looks(u)
    told = np.array([*env.judge_looks().values()])
    return [*first.values(), *env.evaluate(u).terms.values(), env.looks.disagreement(u), told]


def episodes(cortex: Cortex) -> Arrays:
    """Two at once."""
    envs = AccommodationVectorEnv(
        2, cortex=cortex, objective="raw", n_views=2, shape_px=SHAPE_PX, source=["coffee", "chelsea"]
    )
    obs, info = envs.reset(seed=0)
    _, reward, *_ = envs.step(np.full((2, envs.n_parameters), 0.1, np.float32))
    return [*obs.values(), *info["theta"].values(), reward]


def few_members(image: torch.Tensor, percept: Any) -> torch.Tensor:
    """A user's own objective."""
    return percept.masks.amax(1).mean((1, 2)) - image.mean((1, 2, 3))


@lru_cache(maxsize=1)
def photographs() -> torch.Tensor:
    return torch.stack([photograph.image[:, :32, :48] for photograph in bundled(96, ["chelsea", "coffee"])])


def judged(make: Callable[[], Any]) -> Callable[[Cortex], Arrays]:
    """Terms of two settings, and where it can be the gradient of the totals."""

    def case(cortex: Cortex) -> Arrays:
        objective, images = make(), photographs()
        u = cortex.table.default_unit(2).numpy()
        u[1, :8] += 0.2
        evaluator = Evaluator(cortex, objective, n_views=None if objective.n_views == 0 else 2, with_kl=True)
        batch = evaluator.look(images, [0, 1])
        found = [*evaluator.evaluate(batch, [0, 1], u).terms.values()]
        if cortex.device.type != "cuda":
            found.append(evaluator.evaluate_with_gradient(batch, [0, 1], u)[1])
        return found

    return case


CASES: dict[str, tuple[dict[str, Any], Callable[[Cortex], Arrays]]] = {
    "episode": ({}, episode),
    "episode of looks": ({"inherited": "contours"}, episode_of_looks),
    "episodes": ({}, episodes),
    "raw": ({}, judged(lambda: make_objective("raw"))),
    "recognition": ({"recognise": True}, judged(lambda: make_objective("recognition"))),
    "agreement": ({"inherited": "contours"}, judged(lambda: AgreementObjective(n_members=2))),
    "own": ({"inherited": "contours"}, judged(lambda: make_objective(few_members))),
}


def same(here: Arrays, there: Arrays) -> None:
    for one, other in zip(there, here, strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(one, other)


def look(name: str, device: str) -> None:
    options, case = CASES[name]
    here, cortex = case(Cortex(**options)), Cortex(**options)
    with numbered_device(device, host=HOST):
        there = case(cortex.to(device))
    same(here[: len(there)], there)


@pytest.mark.slow  # whole cortices, some ten thousand operators each
@pytest.mark.parametrize("name", CASES)
def test_it_lies_there_and_comes_back_the_same(name):
    look(name, "cuda")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["raw", "recognition", "agreement", "own"])
def test_and_so_do_gradients(name):
    look(name, BACKWARD)


def film() -> EyeScene:
    return patch_film(background_px=(0, 1), patch_px=(1, 0), n_frames=12, side_px=24, seed=1, **SIZE)


SCENES: dict[str, tuple[Callable[[], EyeScene], dict[str, Any]]] = {
    "planes": (lambda: planes_scene((0.5, 2.0, 4.0), **SIZE), {}),
    "dim": (lambda: planes_scene((1.0,), **SIZE), {"rods": True, "white_cd_m2": 0.5}),
    "film": (film, {"frames_per_look": 4}),
    "things": (lambda: planes_scene((1.0,), **SIZE), {"things": True, "mosaic_coarse": 1}),
}


def seen(scene: EyeScene, settings: dict[str, Any], device: str) -> Arrays:
    env = EyeEnv(scenes=scene, device=torch.device(device), **(EYE | settings))
    obs, _ = env.reset(seed=3)
    found = [*obs.values()]
    obs, paid, _, _, info = env.step(np.full(env.action_space.shape, 0.3, np.float32))
    return [*found, *obs.values(), np.array([paid, *info["terms"].values()])]


@pytest.mark.parametrize(
    "name", [x if x in ("dim", "planes") else pytest.param(x, marks=pytest.mark.slow) for x in SCENES]
)
def test_an_eye_lies_there_and_sees_the_same(name):
    make, settings = SCENES[name]
    scene = make()
    here = seen(scene, settings, "cpu")  # first: what is kept of it is made once, on the host
    with numbered_device("cuda", host=HOST_OF_EYE):
        there = seen(scene, settings, "cuda")
    same(here, there)


@pytest.mark.slow
def test_so_do_many_eyes():
    scenes = [film(), planes_scene((1.0,), **SIZE)]

    def rewards(device: str) -> Arrays:
        envs = EyeVectorEnv(2, scenes=scenes, device=torch.device(device), **EYE)
        obs, _ = envs.reset(seed=1, options={"scene": [0, 1]})
        _, first, *_ = envs.step(np.full((2, 4), 0.2, np.float32))
        _, info = envs.reset(options={"reset_mask": np.array([True, False]), "scene": 1})
        return [*obs.values(), first, info["terms"]["total"]]

    here = rewards("cpu")
    with numbered_device("cuda", host=HOST_OF_EYE):
        there = rewards("cuda")
    same(here, there)
