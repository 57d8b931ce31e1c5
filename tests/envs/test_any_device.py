"""Objectives and environments on any device, without one: images go there, answers come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.glance import GlancingPerceiver
from ciliary.envs.batch import make_batch, stack_batches
from ciliary.envs.config import EnvConfig
from ciliary.envs.data.sources import bundled
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.objective.agreement_objective import AgreementObjective
from ciliary.envs.objective.make import make_objective
from ciliary.envs.objective.views import apply_views, sample_views, undo
from ciliary.envs.single import AccommodationEnv
from ciliary.envs.vector import AccommodationVectorEnv
from ciliary_tests.other_device import ELSEWHERE, OtherDevice, lying_here, numbers

SHAPE_PX = (32, 48)


def few_members(image, percept):
    """A user's own objective."""
    return percept.masks.amax(1).mean((1, 2)) - image.mean((1, 2, 3))


OBJECTIVES = {
    "recognition": lambda: make_objective("recognition"),  # the raw terms among them
    "agreement": lambda: AgreementObjective(n_members=2),
    "calibrated": lambda: make_objective("calibrated"),
    "own": lambda: make_objective(few_members),
}


@pytest.fixture
def elsewhere():
    """Fails, in the end, if tensors of two devices met; says on which lines."""
    with OtherDevice() as watched:
        yield watched
    assert list(dict.fromkeys(watched.mixed)) == []


@pytest.fixture(scope="module")
def images():
    return torch.stack([photograph.image[:, :32, :48] for photograph in bundled(96, ["chelsea", "coffee"])])


def judged(cortex, objective, images, u):
    """Terms of two settings on each of two images, with gradients of the totals."""
    evaluator = Evaluator(cortex, objective, n_views=None if objective.n_views == 0 else 2, with_kl=True)
    batch = evaluator.look(images, [0, 1])
    evaluation = evaluator.evaluate(batch, [0, 1, 1], u, with_percepts=True)
    return batch, evaluation, evaluator.evaluate_with_gradient(batch, [0, 1, 1], u)[1]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "raw" else [pytest.mark.slow]) for name in OBJECTIVES]
)
def test_terms_and_gradients_come_back_the_same(name, images, elsewhere, monkeypatch):
    if name == "calibrated":  # its panel is of 32: fewer are as good here
        objective = OBJECTIVES[name]()
        monkeypatch.setattr(type(objective), "_members", lambda self, perceiver: self.panel_u[:32])
    options = {"recognise": True} if name == "recognition" else {}
    cortex = Cortex(**options)
    u = cortex.table.default_unit(3).numpy()
    u[1:, :8] += 0.2
    _, here, gradient = judged(cortex, OBJECTIVES[name](), images, u)
    batch, there, there_gradient = judged(Cortex(**options).to(ELSEWHERE), OBJECTIVES[name](), images, u)
    assert lying_here(batch) == lying_here(there.percepts) == []
    assert here.terms.keys() == there.terms.keys()
    assert all(np.array_equal(there.terms[key], value) for key, value in here.terms.items())
    assert np.array_equal(there_gradient, gradient)


def test_views_are_the_same_there(images, elsewhere):
    views = sample_views(3)
    seen, there = apply_views(images, views), apply_views(images.to(ELSEWHERE), views)
    assert torch.equal(numbers(there), seen)
    for found, expected in zip(undo(there, views), undo(seen, views), strict=True):
        assert torch.equal(numbers(found), expected)


def test_batches_are_stacked_and_taken_apart_there(images, elsewhere):
    cortex = Cortex(inherited="contours").to(ELSEWHERE)
    views = [sample_views(0, n_photometric=1, n_geometric=1)]
    parts = [make_batch(cortex, AgreementObjective(n_members=2), one[None], views) for one in images]
    both = stack_batches(parts)
    assert lying_here(both) == lying_here(both[1]) == lying_here(both[torch.tensor([1, 0])]) == []
    assert torch.equal(numbers(both[1].images), numbers(parts[1].images))


def played(cortex):
    """A whole episode: observations, rewards, terms, a frame, what looks come to."""
    env = AccommodationEnv(
        cortex=cortex, objective="looks", with_looks=True, shape_px=SHAPE_PX, source="coffee", render_mode="rgb_array"
    )
    first, info = env.reset(seed=0)
    second, reward, *_ = env.step(np.full(env.n_parameters, 0.1, np.float32))
    u = np.stack([env.default_u, env.u])
    env.take_looks(u)
    evaluation = env.evaluate(u)
    arrays = [*first.values(), *second.values(), *evaluation.terms.values(), env.looks.disagreement(u)]
    percept = env.percept(u)
    holding = env.holds({"one": u[:1], "both": u}, seed=4)
    terms = [info["terms"], env.judge_looks(), *holding.values()]
    numbers_of = [reward, *(value for one in terms for value in one.values())]
    return arrays, np.array(numbers_of), env.render(), percept, env.looks.percept


@pytest.mark.slow
def test_an_episode_is_the_same_there(elsewhere):
    arrays, numbers_of, frame, percept, together = played(GlancingPerceiver([Cortex()]))
    there = played(GlancingPerceiver([Cortex().to(ELSEWHERE)]))
    assert all(
        type(one) is np.ndarray and np.array_equal(one, other) for one, other in zip(there[0], arrays, strict=True)
    )
    assert np.array_equal(there[1], numbers_of)
    assert np.array_equal(there[2], frame)
    assert torch.equal(there[3].masks, percept.masks)
    assert lying_here(there[4]) == []
    assert torch.equal(numbers(there[4].segments), together.segments)


@pytest.mark.slow
def test_many_episodes_are_the_same_there(elsewhere):
    def rewards(cortex):
        envs = AccommodationVectorEnv(
            2, cortex=cortex, objective="raw", n_views=2, shape_px=SHAPE_PX, source=["coffee", "chelsea"]
        )
        obs, info = envs.reset(seed=0)
        _, reward, *_ = envs.step(np.full((2, envs.n_parameters), 0.1, np.float32))
        u = torch.as_tensor(envs.default_u).repeat(2, 1).requires_grad_()
        (gradient,) = torch.autograd.grad(envs.loss(u).sum(), u)
        return [*obs.values(), *info["theta"].values(), reward, gradient.numpy()]

    here, there = rewards(Cortex()), rewards(Cortex().to(ELSEWHERE))
    assert all(np.array_equal(one, other) for one, other in zip(there, here, strict=True))


def test_a_perceiver_that_is_handed_in_stays_where_it_is(elsewhere):
    cortex = Cortex().to(ELSEWHERE)
    assert EnvConfig(cortex=cortex, device="cpu").make_perceiver() is cortex
    assert cortex.device == ELSEWHERE
    assert EnvConfig(device="cpu").make_perceiver().device == torch.device("cpu")
