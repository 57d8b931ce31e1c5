from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ciliary.cortex import PARAMETERS, Cortex, default_unit, from_unit
from ciliary.envs.batch import evaluate_pairs, make_batch, stack_batches
from ciliary.envs.objective.terms import TERMS, Objective
from ciliary.envs.objective.views import apply_views, sample_views
from ciliary_tests.one_image import OneImage

HEIGHT, WIDTH = 32, 48


@dataclass(frozen=True)
class Watched:
    """A cortex that counts its forward passes and images."""

    cortex: Cortex
    batches: list

    name, table, answers, inert = "cortex", PARAMETERS, frozenset({"gradient"}), frozenset()

    def __call__(self, image, theta, cues):
        self.batches.append(len(image))
        return self.cortex(image, theta, cues)

    def cues(self, image):
        self.batches.append(-len(image))
        return self.cortex.cues(image)


@pytest.fixture(scope="module")
def cortex():
    return Cortex(depth="none", features="none")


def photograph(seed, height=HEIGHT, width=WIDTH):
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 3, 4, generator=rng)
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="nearest")[0]


def some_settings(n, seed=0):
    u = default_unit(n)
    step = torch.rand(u.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
    step[0] = 0
    return (u + step).clamp(-1, 1)


def close(a, b, atol=1e-3):
    return all(np.allclose(a[name], b[name], atol=atol) for name in TERMS)


def test_terms_of_a_population(cortex):
    evaluation = OneImage(cortex, Objective(), sample_views(0), photograph(0)).evaluate(some_settings(3).numpy())
    assert {*TERMS, "total", "n_segments"} == set(evaluation.terms)
    assert all(values.shape == (3,) and values.dtype == np.float64 for values in evaluation.terms.values())
    assert len(evaluation) == 3
    assert evaluation.row(1)["total"] == evaluation.terms["total"][1]
    assert np.ptp(evaluation.terms["total"]) > 0


def test_a_population_is_one_forward_pass_and_cues_are_computed_once(cortex):
    watched = Watched(cortex, [])
    evaluator = OneImage(watched, Objective(), sample_views(0), photograph(0), max_images=40)
    evaluator.evaluate(some_settings(8))
    evaluator.evaluate(some_settings(3))
    assert watched.batches == [-5, 40, 15]
    evaluator.evaluator.max_images = 17
    evaluator.evaluate(some_settings(8))
    assert watched.batches[3:] == [15, 15, 10]


def test_chunks_and_population_size_do_not_change_the_answer(cortex):
    u = some_settings(5)
    evaluators = [OneImage(cortex, Objective(), sample_views(1), photograph(1), max_images=n) for n in (1, 12, 100)]
    answers = [e.evaluate(u).terms for e in evaluators]
    alone = evaluators[2].evaluate(u[3:4]).terms
    assert close(answers[0], answers[1])
    assert close(answers[0], answers[2])
    assert close(alone, {name: values[3:4] for name, values in answers[2].items()})


def test_deterministic(cortex):
    u = some_settings(4)
    first, again = (OneImage(cortex, Objective(), sample_views(2), photograph(2)).evaluate(u).terms for _ in range(2))
    other = OneImage(cortex, Objective(), sample_views(3), photograph(2)).evaluate(u).terms
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["total"], other["total"])


def test_many_images_in_one_pass_equal_each_by_itself(cortex):
    objective = Objective()
    views = [sample_views(seed) for seed in range(3)]
    singles = [make_batch(cortex, objective, photograph(i)[None], [views[i]]) for i in range(3)]
    together = make_batch(cortex, objective, torch.stack([photograph(i) for i in range(3)]), views)
    stacked = stack_batches(singles)
    index, u = torch.tensor([2, 0, 1, 2]), some_settings(4)
    watched = Watched(cortex, [])
    with torch.no_grad():
        many, _ = evaluate_pairs(watched, objective, stacked, index, u)
        made, _ = evaluate_pairs(cortex, objective, together, index, u)
        assert watched.batches == [20]
        for i in range(4):
            one, _ = evaluate_pairs(cortex, objective, singles[index[i]], torch.tensor([0]), u[i : i + 1])
            taken, _ = evaluate_pairs(cortex, objective, stacked[int(index[i])], torch.tensor([0]), u[i : i + 1])
            for name in TERMS:
                values = (one[name], taken[name], many[name][i : i + 1], made[name][i : i + 1])
                assert max(values) - min(values) < 1e-3, name


def test_percepts_are_those_of_the_image_itself(cortex):
    u = some_settings(3)
    evaluator = OneImage(cortex, Objective(), sample_views(0), photograph(4), max_images=10)
    percepts = evaluator.evaluate(u, with_percepts=True).percepts
    image = photograph(4)[None].expand(3, -1, -1, -1)
    expected = cortex(image, from_unit(u), cortex.cues(image))
    assert percepts.m4.masks.shape == expected.m4.masks.shape
    assert torch.allclose(percepts.m4.masks, expected.m4.masks, atol=1e-3)
    assert evaluator.evaluate(u).percepts is None


def test_the_look_holds_the_image_then_its_views(cortex):
    image, views = photograph(5), sample_views(5)
    look = make_batch(cortex, Objective(), image[None], [views])
    assert torch.equal(look.images[0, 0], image)
    assert torch.equal(look.images[0, 1:], apply_views(image[None], views)[:, 0])
    assert (len(look), look.n_views, look.n_geometric) == (1, 4, 2)


@pytest.mark.parametrize("counts", [(3, 0), (0, 2), (1, 1), (0, 0)])
def test_any_mixture_of_views(cortex, counts):
    views = sample_views(0, n_photometric=counts[0], n_geometric=counts[1])
    terms = OneImage(cortex, Objective(), views, photograph(0)).evaluate(some_settings(2)).terms
    assert np.isfinite(terms["total"]).all()
    assert ("stability" in terms) == (counts[0] > 0)
    assert ("consistency" in terms) == (counts[1] > 0)


def test_without_views_agreement_is_left_out_and_all_else_as_ever(cortex):
    u, watched = some_settings(5), Watched(cortex, [])
    none = sample_views(0, n_photometric=0, n_geometric=0)
    evaluator = OneImage(watched, Objective(), none, photograph(0))
    assert (evaluator.look.n_views, evaluator.look.n_geometric) == (0, 0)
    alone = evaluator.evaluate(u, with_percepts=True, with_kl=True)
    assert watched.batches == [-1, 5]  # the image itself and nothing else
    seen = OneImage(cortex, Objective(), sample_views(0), photograph(0)).evaluate(u, with_percepts=True)
    for name in ("stability", "consistency", "symmetric_kl"):
        assert name not in alone.terms
    for name in set(TERMS) - {"stability", "consistency"} | {"n_segments"}:
        np.testing.assert_allclose(alone.terms[name], seen.terms[name], atol=1e-3, err_msg=name)
    assert torch.equal(alone.percepts.labels(), seen.percepts.labels())
    assert np.ptp(alone.terms["total"]) > 0


def test_without_views_looks_stack_and_gradients_are_finite(cortex):
    objective, none = Objective(), sample_views(0, n_photometric=0, n_geometric=0)
    looks = [make_batch(cortex, objective, photograph(i)[None], [none]) for i in range(2)]
    u = some_settings(3).requires_grad_()
    index = torch.tensor([1, 0, 1])
    terms, _ = evaluate_pairs(cortex, objective, stack_batches(looks), index, u)
    together, _ = evaluate_pairs(
        cortex,
        objective,
        make_batch(cortex, objective, torch.stack([photograph(0), photograph(1)]), [none] * 2),
        index,
        u,
    )
    torch.testing.assert_close(terms["total"], together["total"], atol=1e-4, rtol=0)
    terms["total"].sum().backward()
    assert torch.isfinite(u.grad).all()


def test_the_loss_is_the_total_and_has_a_gradient(cortex):
    evaluator = OneImage(cortex, Objective(), sample_views(0), photograph(6))
    u = some_settings(2).requires_grad_()
    loss = evaluator.loss(u)
    loss.sum().backward()
    assert np.allclose(loss.detach().numpy(), evaluator.evaluate(u).terms["total"], atol=1e-4)
    assert torch.isfinite(u.grad).all()
    assert (u.grad != 0).any(1).all()
    assert not evaluator.look.images.requires_grad


def test_kl_on_request_only(cortex):
    evaluator = OneImage(cortex, Objective(), sample_views(0), photograph(0))
    assert "symmetric_kl" not in evaluator.evaluate(some_settings(1)).terms
    value = evaluator.evaluate(some_settings(2), with_kl=True).terms["symmetric_kl"]
    assert value.shape == (2,)
    assert (value >= 0).all()


def test_non_finite_terms_of_one_setting_stay_its_own(cortex):
    class Broken:
        name, table, answers, inert = "cortex", PARAMETERS, frozenset({"gradient"}), frozenset()
        cues = staticmethod(cortex.cues)

        def __call__(self, image, theta, cues):
            percept = cortex(image, theta, cues)
            percept.m4.masks_coarse[5] = float("nan")  # the image row of the second setting
            return percept

    evaluation = OneImage(Broken(), Objective(), sample_views(0), photograph(0)).evaluate(some_settings(3))
    assert np.isfinite(evaluation.terms["total"]).tolist() == [True, False, True]


def test_the_evaluation_keeps_its_own_copy_of_the_settings(cortex):
    u = some_settings(2).numpy()
    evaluation = OneImage(cortex, Objective(), sample_views(0), photograph(0)).evaluate(u)
    u[:] = 0
    assert not np.array_equal(evaluation.u, u)


def test_errors_name_what_is_wrong(cortex):
    objective = Objective()
    look = make_batch(cortex, objective, photograph(0)[None], [sample_views(0)])
    tall = make_batch(cortex, objective, photograph(0, WIDTH, HEIGHT)[None], [sample_views(0)])
    with pytest.raises(ValueError, match="images of one size"):
        stack_batches([look, tall])
    with pytest.raises(ValueError, match=r"indices in 0\.\.0"):
        evaluate_pairs(cortex, objective, look, torch.tensor([1]), some_settings(1))
    with pytest.raises(ValueError, match="index"):
        evaluate_pairs(cortex, objective, look, torch.tensor([0, 0]), some_settings(1))
    with pytest.raises(ValueError, match="equal numbers"):
        make_batch(
            cortex, objective, torch.stack([photograph(0)] * 2), [sample_views(0), sample_views(0, n_geometric=1)]
        )
