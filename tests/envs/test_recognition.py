"""The terms of recognition: by hand on constructed answers of M5, what may not matter, gradients, and who is asked."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex import Cortex, default_unit
from ciliary.cortex.description import N_DESCRIPTION, PARTS
from ciliary.cortex.percept import M5Out
from ciliary.cortex.stages.m5_learned import LearnedM5
from ciliary.envs.data.scenes import make_scene
from ciliary.envs.objective.make import make_objective, objective_mark
from ciliary.envs.objective.recognition import (
    RECOGNITION_TERMS,
    RECOGNITION_WEIGHTS,
    code_agreement,
    code_stability,
    completion_loss,
    gate_entropy,
    recognition_terms,
)
from ciliary.envs.objective.terms import TERMS, Objective, ObjectiveSettings
from ciliary.envs.objective.views import sample_views, way_back
from ciliary.envs.single import AccommodationEnv
from ciliary_tests.one_image import OneImage

SIZE = (16, 24)
ALL = ObjectiveSettings(code_stability=0.3, completion=0.1, gate_entropy=0.1)


def masks_of(labels, n_slots=4):
    return F.one_hot(torch.as_tensor(labels), n_slots).movedim(-1, -3).float()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def codes(*shape, seed=0):
    return F.normalize(normal(*shape, seed=seed), dim=-1)


def halves(column=12):
    return (torch.arange(SIZE[1]) >= column).long().expand(SIZE)


# --- agreement of codes


def test_agreement_by_hand():
    """Halves; the other percept draws the border 3 columns further left, and its code of the right is at an angle."""
    p, q = masks_of(halves(12), 2)[None], masks_of(halves(9), 2)[None]
    angle = 0.4
    code_p = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    code_q = torch.tensor([[[1.0, 0.0, 0.0], [0.0, math.cos(angle), math.sin(angle)]]])
    # 9 columns agree wholly, 3 not at all, 12 by the cosine
    expected = (9 + 12 * math.cos(angle)) / 24
    assert code_agreement(p, q, code_p, code_q).item() == pytest.approx(expected, abs=1e-6)


def test_only_valid_pixels_count():
    p, q = masks_of(halves(12), 2)[None], masks_of(halves(9), 2)[None]
    code = torch.eye(2)[None]
    valid = torch.ones(1, 1, *SIZE)
    valid[..., 6:12] = 0
    # left: 6 that agree; of 9 .. 12, where they do not, none; right: 12
    assert code_agreement(p, q, code, code, valid).item() == pytest.approx(1.0)
    valid[..., 9:12] = 0.5
    assert code_agreement(p, q, code, code, valid).item() == pytest.approx(18 / 19.5, abs=1e-6)


def test_opposite_codes_are_no_worse_than_unlike_ones():
    p, code = masks_of(halves(), 2)[None], codes(1, 2, 5)
    assert code_agreement(p, p, code, code).item() == pytest.approx(1.0, abs=1e-6)
    assert code_agreement(p, p, code, -code).item() == 0.0


@pytest.mark.parametrize("kind", ["p", "q", "both"])
def test_the_order_of_slots_does_not_matter(kind):
    p, q = (torch.softmax(3 * normal(3, 4, *SIZE, seed=s), 1) for s in (0, 1))
    code_p, code_q = codes(3, 4, 6), codes(3, 4, 6, seed=1)
    before = code_agreement(p, q, code_p, code_q)
    order, other = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 3, 2, 0])
    if kind in ("p", "both"):
        p, code_p = p[:, order], code_p[:, order]
    if kind in ("q", "both"):
        q, code_q = q[:, other], code_q[:, other]
    torch.testing.assert_close(code_agreement(p, q, code_p, code_q), before)


def test_what_is_split_in_two_that_are_known_as_one_costs_nothing():
    p = masks_of(halves(), 2)[None]
    quarters = halves() + 2 * (torch.arange(SIZE[0]) >= 8).long()[:, None]
    code = torch.eye(2)[None]
    assert code_agreement(p, masks_of(quarters)[None], code, code[:, [0, 1, 0, 1]]).item() == pytest.approx(1.0)


# --- over views


def test_stability_is_the_mean_over_views():
    masks = masks_of(halves(), 2).expand(1, 4, -1, -1, -1)
    code = torch.eye(3)[:2].expand(1, 4, -1, -1).clone()
    angles = (0.0, 0.3, 0.8, 1.2)
    for k, angle in enumerate(angles):
        code[0, k, 1] = torch.tensor([0.0, math.cos(angle), math.sin(angle)])
    expected = 1 - np.mean([(1 + math.cos(a)) / 2 for a in angles[1:]])
    assert code_stability(masks, code, None, n_photometric=3).item() == pytest.approx(expected, abs=1e-6)


def test_geometric_views_are_brought_back():
    """A flipped view, perceived flipped: the same codes at the same things."""
    views = sample_views(0, n_photometric=0, n_geometric=1, max_rotation_rad=0, max_log_scale=0, max_shift=0)
    back = way_back(views, size=SIZE)
    own = masks_of(halves(6), 2)
    masks, code = torch.stack([own, own.flip(-1)])[None], torch.eye(2).expand(1, 2, -1, -1)
    assert code_stability(masks, code, back, n_photometric=0).item() == pytest.approx(0, abs=1e-6)
    assert code_stability(masks, code, None, n_photometric=1).item() == pytest.approx(12 / 24, abs=1e-6)
    with pytest.raises(ValueError, match="way back"):
        code_stability(masks, code, None, n_photometric=0)


# --- completion


def told(n=5, seed=0):
    weight = torch.rand(2, n, generator=torch.Generator().manual_seed(seed))
    return normal(2, n, N_DESCRIPTION, seed=seed), weight / weight.sum(1, keepdim=True)


def test_completion_by_hand():
    description, weight = told()
    assert completion_loss(description, description, weight).tolist() == [0, 0]
    # nothing said: the error is the description itself, in every part
    nothing = completion_loss(description, torch.zeros_like(description), weight)
    assert nothing.tolist() == pytest.approx([math.tanh(1)] * 2, abs=2e-3)
    # one part of five wrong by half its length
    wrong = description.clone()
    wrong[..., PARTS["shape"]] *= 1.5
    assert completion_loss(description, wrong, weight).tolist() == pytest.approx([math.tanh(0.05)] * 2, abs=1e-3)


def test_each_part_has_the_same_say_whatever_its_units():
    description, weight = told()
    completed = description + 0.3 * normal(2, 5, N_DESCRIPTION, seed=3)
    before = completion_loss(description, completed, weight)
    for x in (description, completed):
        x[..., PARTS["strokes"]] *= 100
    torch.testing.assert_close(completion_loss(description, completed, weight), before, atol=1e-3, rtol=0)


def test_an_object_counts_by_its_weight_and_never_beyond():
    description, _ = told()
    completed = description.clone()
    completed[:, 0] = 1e6
    for share in (0.0, 0.25, 1.0):
        weight = torch.tensor([share, *[(1 - share) / 4] * 4]).expand(2, -1)
        assert completion_loss(description, completed, weight).tolist() == pytest.approx([share] * 2, abs=1e-6)


def test_an_image_is_judged_alone():
    description, weight = told()
    completed = description + 0.3 * normal(2, 5, N_DESCRIPTION, seed=3)
    both = completion_loss(description, completed, weight)
    alone = [completion_loss(*(x[i : i + 1] for x in (description, completed, weight))) for i in range(2)]
    torch.testing.assert_close(both, torch.cat(alone))


# --- gates


def test_entropy_of_gates_by_hand():
    gate = torch.zeros(1, 3, 4)
    gate[0, 0, 1] = 1.0  # sure
    gate[0, 1] = 0.25  # knows nothing
    gate[0, 2, :2] = 0.5  # one of two
    weight = torch.tensor([[0.5, 0.2, 0.3]])
    assert gate_entropy(gate, weight).item() == pytest.approx(0.5 * 0 + 0.2 * 1 + 0.3 * 0.5, abs=1e-6)


def test_one_expert_cannot_be_in_doubt():
    assert gate_entropy(torch.ones(2, 3, 1), torch.full((2, 3), 1 / 3)).tolist() == [0, 0]


def test_experts_left_out_leave_the_gradient_finite():
    logits = normal(1, 3, 6).requires_grad_()
    kept = torch.softmax(logits, -1).topk(2, -1)
    chosen = torch.zeros(1, 3, 6).scatter(-1, kept.indices, kept.values)
    gate_entropy(chosen / chosen.sum(-1, keepdim=True), torch.full((1, 3), 1 / 3)).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().max() > 0


# --- together


def answer(n, n_rows, n_slots=4, n_experts=5, seed=0):
    shape = (n * n_rows, n_slots)
    gate = torch.softmax(normal(*shape, n_experts, seed=seed), -1)
    weight = torch.softmax(normal(*shape, seed=seed + 1), -1)
    description, completed = (normal(*shape, N_DESCRIPTION, seed=seed + k) for k in (2, 3))
    return M5Out(description, codes(*shape, 8, seed=seed), gate, completed, weight)


def test_the_terms_are_of_the_images_and_their_views():
    m5, masks = answer(2, 3), torch.softmax(3 * normal(2, 3, 4, *SIZE), 2)
    terms = recognition_terms(RECOGNITION_TERMS, m5, masks, None, n_photometric=2)
    assert list(terms) == list(RECOGNITION_TERMS)
    own = [0, 3]  # rows of the images themselves
    torch.testing.assert_close(terms["gate_entropy"], gate_entropy(m5.gate[own], m5.weight[own]))
    torch.testing.assert_close(
        terms["completion"], completion_loss(m5.description[own], m5.completed[own], m5.weight[own])
    )
    code = m5.code.view(2, 3, 4, 8)
    one = 1 - code_agreement(masks[:, 0], masks[:, 1], code[:, 0], code[:, 1])
    two = 1 - code_agreement(masks[:, 0], masks[:, 2], code[:, 0], code[:, 2])
    torch.testing.assert_close(terms["code_stability"], (one + two) / 2)
    assert all(((x >= 0) & (x <= 1)).all() for x in terms.values())


def test_without_views_there_is_no_stability_of_codes():
    terms = recognition_terms(RECOGNITION_TERMS, answer(2, 1), torch.rand(2, 1, 4, *SIZE), None, n_photometric=0)
    assert list(terms) == ["completion", "gate_entropy"]


# --- in the objective


@pytest.fixture(scope="module")
def image():
    return make_scene("discs", seed=1, size=(48, 64))[0]


@pytest.fixture(scope="module")
def cortex():
    torch.manual_seed(0)
    return Cortex(m5=LearnedM5().eval().requires_grad_(False))


def evaluator(cortex, image, settings=None, seed=0):
    views = sample_views(seed, n_photometric=1, n_geometric=1)
    return OneImage(cortex, Objective(settings), views, image)


def test_without_weights_nothing_changes_to_the_last_bit(cortex, image):
    u = default_unit(2).numpy()
    plain, other = (evaluator(c, image).evaluate(u).terms for c in (Cortex(), cortex))
    assert list(plain) == list(other) == ["stability", "consistency", "collapse", "economy", "n_segments", "total"]
    assert all(np.array_equal(plain[name], other[name]) for name in plain)
    assert Objective().name == "raw"
    assert not Objective().recognises


def test_terms_join_the_total_by_their_weights(cortex, image):
    u = default_unit(1).numpy()
    plain = evaluator(cortex, image).evaluate(u).row(0)
    row = evaluator(cortex, image, ALL).evaluate(u).row(0)
    assert all(row[name] == plain[name] for name in (*TERMS, "n_segments"))
    assert all(0 < row[name] < 1 for name in RECOGNITION_TERMS)
    extra = sum(getattr(ALL, name) * row[name] for name in RECOGNITION_TERMS)
    assert row["total"] == pytest.approx(plain["total"] + extra, abs=1e-6)


@pytest.mark.parametrize("name", RECOGNITION_TERMS)
def test_only_what_has_a_weight_is_measured(cortex, image, name):
    row = evaluator(cortex, image, ObjectiveSettings(**{name: 0.5})).evaluate(default_unit(1).numpy()).row(0)
    assert set(RECOGNITION_TERMS) & set(row) == {name}


def test_a_cortex_that_does_not_recognise_is_told_so(image):
    with pytest.raises(ValueError, match=r"weighs completion needs a perceiver that answers 'recognition'"):
        evaluator(Cortex(), image, ObjectiveSettings(completion=0.1)).evaluate(default_unit(1).numpy())


@pytest.mark.parametrize("name", RECOGNITION_TERMS)
def test_the_gradient_flows_through_each(cortex, image, name):
    only = ObjectiveSettings(stability=0, consistency=0, collapse=0, economy=0, **{name: 1.0})
    u = torch.zeros(2, default_unit().shape[1], requires_grad=True)
    total = evaluator(cortex, image, only).loss(u)
    (slope,) = torch.autograd.grad(total.sum(), u)
    assert torch.isfinite(slope).all()
    assert (slope.abs() > 0).float().mean() > 0.5


def test_weights_are_checked():
    for name in RECOGNITION_TERMS:
        with pytest.raises(ValueError, match="weights >= 0"):
            ObjectiveSettings(**{name: -0.1})


# --- by name


def test_recognition_by_name():
    objective = make_objective("recognition")
    assert objective.name == objective_mark("recognition") == "recognition"
    assert objective.recognises
    assert {name: getattr(objective.settings, name) for name in RECOGNITION_TERMS} == RECOGNITION_WEIGHTS
    assert {name: getattr(objective.settings, name) for name in TERMS} == {
        name: getattr(ObjectiveSettings(), name) for name in TERMS
    }
    assert make_objective("recognition", settings=ObjectiveSettings(stride=4)).settings.stride == 4


def test_an_environment_builds_a_cortex_that_recognises():
    env = AccommodationEnv(objective="recognition", source="scenes", size_px=48, n_views=2)
    _, info = env.reset(seed=0, options={"image": 0, "disturbance": "none"})
    assert set(RECOGNITION_TERMS) <= set(info["terms"])
    assert env.objective_name == "recognition"
    evaluation, slope = env.evaluate_with_gradient(env.u[None])
    assert np.isfinite(slope).all()
    assert evaluation.row(0)["total"] == pytest.approx(info["terms"]["total"], abs=1e-5)
    assert AccommodationEnv(source="scenes", objective="raw").evaluator.perceiver.m5 is None
