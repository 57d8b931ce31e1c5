"""Terms of views besides: the worst within a small change, and texture that holds wherever it lies."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.ops.loggabor import mirrored_orientations
from ciliary.cortex.perceivers import make_perceiver
from ciliary.cortex.synthesis.attack import random_within
from ciliary.envs.evaluator import Evaluator
from ciliary.envs.objective.agreement import sharpen, soft_adjusted_rand
from ciliary.envs.objective.make import make_objective
from ciliary.envs.objective.terms import ObjectiveSettings, view_agreement
from ciliary.envs.objective.views import sample_views, way_back
from ciliary.envs.objective.worst_case import EPSILON, texture_loss, worst_views


@pytest.fixture(scope="module")
def cortex() -> Cortex:
    return Cortex().requires_grad_(False)


def one_hot(labels: list[list[int]], n: int = 3) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), n).permute(2, 0, 1).float()


def test_the_worst_view_is_judged_apart():
    """Of three views at the same place the first is the worst: stability knows the others alone."""
    own, other = one_hot([[0, 0, 1, 1]] * 4), one_hot([[0, 1, 0, 1]] * 4)
    masks = torch.stack([own, other, own, own])[None]
    apart = view_agreement(masks, None, n_photometric=3, n_worst=1)
    assert apart["stability"].item() == pytest.approx(0, abs=1e-5)
    assert apart["worst_case"].item() > 0.9
    assert "worst_case" not in view_agreement(masks, None, n_photometric=3)
    assert "stability" not in view_agreement(masks[:, :2], None, n_photometric=1, n_worst=1)


def test_a_worst_view_is_near_and_worse_than_chance(cortex, chelsea):
    worst = worst_views(cortex, chelsea)
    assert (worst - chelsea).abs().max() <= EPSILON + 1e-6

    def held(seen: torch.Tensor) -> float:
        masks = [sharpen(cortex(image).masks_coarse, power=4.0) for image in (chelsea, seen)]
        return soft_adjusted_rand(*masks).item()

    assert held(worst) < held(random_within(chelsea, EPSILON, seed=1))
    assert torch.equal(worst, worst_views(cortex, chelsea))


def test_texture_knows_nothing_of_places_and_something_of_scale():
    rng = torch.Generator().manual_seed(0)
    energy = torch.rand(1, 1, 18, 8, 12, generator=rng)
    views = sample_views(0, n_photometric=0, n_geometric=2)
    back = way_back(views, size=(8, 12))
    mirrored = torch.where(
        back.is_flipped[:, None, None, None], mirrored_orientations(energy[:, 0]).flip(-1), energy[:, 0].roll(3, -1)
    )
    assert back.is_flipped.tolist() == [True, False]
    same = torch.cat([energy, mirrored[None]], 1)
    assert texture_loss(same, back, n_photometric=0).item() == pytest.approx(0, abs=1e-4)
    coarser = torch.cat([energy, mirrored[None].roll(6, 2)], 1)  # each scale has what the next one had
    assert texture_loss(coarser, back, n_photometric=0).item() > 0.05
    with pytest.raises(ValueError, match="geometric views, got none"):
        texture_loss(energy, None, n_photometric=0)


def test_mirrored_twice_is_as_it_was():
    energy = torch.rand(2, 18, 4, 4)
    turned = mirrored_orientations(energy)
    assert torch.equal(mirrored_orientations(turned), energy)
    assert torch.equal(turned[:, 0], energy[:, 0])  # horizontal stays
    assert torch.equal(turned[:, 1], energy[:, 5])  # 30 degrees becomes 150


@pytest.mark.parametrize("term", ["worst_case", "texture"])
def test_a_term_is_in_the_total_as_it_is_weighed(cortex, chelsea, term):
    settings = ObjectiveSettings(**{term: 0.5})
    evaluator = Evaluator(cortex, make_objective(settings))
    assert evaluator.objective.name == term
    batch = evaluator.look(chelsea, [0])
    u = cortex.table.default_unit()
    terms, _ = evaluator.judge(batch, [0], u)
    raw = Evaluator(cortex, make_objective("raw"))
    plain, _ = raw.judge(raw.look(chelsea, [0]), [0], u)
    assert terms["collapse"].item() == pytest.approx(plain["collapse"].item(), abs=1e-6)
    rest = sum(getattr(settings, name) * terms[name] for name in ("stability", "consistency", "collapse", "economy"))
    torch.testing.assert_close(terms["total"], rest + 0.5 * terms[term])
    assert 0 < terms[term].item() <= 1
    assert term not in plain


def test_by_its_name(cortex, chelsea):
    objective = make_objective("worst_case")
    assert objective.settings.worst_case > 0
    assert objective.settings.n_worst == 1
    u = cortex.table.default_unit().requires_grad_(True)
    evaluator = Evaluator(cortex, objective)
    loss = evaluator.loss(evaluator.look(chelsea, [0]), u).sum()
    (gradient,) = torch.autograd.grad(loss, u)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_who_cannot_be_asked_is_told_so():
    slic = make_perceiver("slic")
    with pytest.raises(ValueError, match="gradient"):
        make_objective("worst_case").check(slic)
    with pytest.raises(ValueError, match="energy"):
        make_objective("texture").check(slic)


def test_a_worst_case_needs_a_place_among_the_views(cortex, chelsea):
    evaluator = Evaluator(cortex, make_objective("worst_case"))
    evaluator.n_views = 0
    with pytest.raises(ValueError, match="photometric view"):
        evaluator.look(chelsea, [0])
