"""Second exam: squares by hand, completion by hand, and what hiding does to naming."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ciliary.cortex.description import N_DESCRIPTION, PARTS
from ciliary.tuning.benchmarks.completion import (
    GIST,
    LEARNED,
    MEAN,
    OCCLUDERS,
    Occluder,
    Standard,
    completion_errors,
    occlude,
)
from ciliary.tuning.benchmarks.few_shot import few_shot
from ciliary.tuning.benchmarks.naming import PROTOTYPE
from ciliary.tuning.benchmarks.occlusion import CLEAN, CONDITIONS, SHARES, Robust, _gains, occlusion
from ciliary.tuning.benchmarks.representations import MATHEMATICAL, RANDOM, representations
from ciliary.tuning.benchmarks.tokens import Tokens


def tokens_like(description, weight):
    """Tokens of which only descriptions and weights matter."""
    description, weight = np.asarray(description, np.float32), np.asarray(weight, np.float32)
    nothing = np.zeros((*weight.shape, 1), np.float32)
    return Tokens(description, nothing, nothing, weight, np.zeros(len(weight)))


@pytest.mark.parametrize(("kind", "value"), [("grey", 128), ("black", 0)])
def test_a_square_by_hand(kind, value):
    images = torch.full((50, 3, 8, 8), 200, dtype=torch.uint8)
    hidden = occlude(images, Occluder(kind, 0.25), seed=0)
    is_hidden = hidden[:, 0] == value
    assert (is_hidden.sum((1, 2)) == 16).all()  # a quarter of 64
    assert (hidden[:, 0][~is_hidden] == 200).all()
    assert torch.equal(hidden[:, 0], hidden[:, 2])
    rows, columns = is_hidden.any(2), is_hidden.any(1)
    assert (rows.sum(1) == 4).all()  # one square, not scattered pixels
    assert (columns.sum(1) == 4).all()
    assert len({tuple(row.tolist()) for row in rows}) == 5  # every height that it fits in
    assert torch.equal(images, torch.full_like(images, 200))  # what was given is not touched


def test_noise_is_noise():
    images = torch.zeros(20, 3, 16, 16, dtype=torch.uint8)
    hidden = occlude(images, Occluder("noise", 0.5625), seed=1)  # 12 x 12
    values = hidden[hidden > 0].float()
    assert len(values) == pytest.approx(20 * 3 * 144, rel=0.02)
    assert values.mean() == pytest.approx(128, abs=4)
    assert values.std() == pytest.approx(74, abs=3)  # of a uniform one


def test_squares_of_all_kinds_lie_in_the_same_place_and_larger_ones_around():
    images = torch.full((30, 3, 16, 16), 255, dtype=torch.uint8)
    grey, black, noise = (occlude(images, Occluder(kind, 0.25), seed=4) < 255 for kind in ("grey", "black", "noise"))
    assert torch.equal(grey, black)
    assert ((noise & ~grey) == 0).all()
    larger = occlude(images, Occluder("grey", 0.75), seed=4) < 255
    assert (larger.sum((1, 2, 3)) == 3 * 14**2).all()
    other = occlude(images, Occluder("grey", 0.25), seed=5) < 255
    assert not torch.equal(grey, other)


def test_nothing_hidden():
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(occlude(images, CLEAN, seed=0), images)


def test_occluders_that_cannot_be():
    with pytest.raises(ValueError, match="no occluder 'fog'"):
        Occluder("fog", 0.5)
    with pytest.raises(ValueError, match="a share in"):
        Occluder("grey", 1.0)
    with pytest.raises(ValueError, match="square images"):
        occlude(torch.zeros(1, 3, 8, 9, dtype=torch.uint8), CLEAN, seed=0)


def test_completion_by_hand():
    """Two objects, of 1 and 3 in every entry, weighing 0.25 and 0.75; a second image of one object of 2."""
    description = np.ones((2, 2, N_DESCRIPTION)) * np.array([[1, 3], [2, 2]])[..., None]
    tokens = tokens_like(description, [[0.25, 0.75], [1, 0]])
    standard = Standard(np.zeros(N_DESCRIPTION), np.ones(N_DESCRIPTION))
    errors = completion_errors(tokens, standard, None)
    assert set(errors) == set(PARTS)
    for own in errors.values():
        assert set(own) == {GIST, MEAN}
        assert own[MEAN] == pytest.approx([0.25 * 1 + 0.75 * 9, 4])
        assert own[GIST] == pytest.approx([4, 4])  # the other object is 2 away; alone, the gist is the mean
    doubled = completion_errors(tokens, Standard(np.zeros(N_DESCRIPTION), np.full(N_DESCRIPTION, 2)), None)
    assert doubled["shape"][MEAN] == pytest.approx(errors["shape"][MEAN] / 4)


def test_the_net_is_told_what_it_may_see_and_no_more():
    calls = []

    def net(standard, visible):
        calls.append(visible)
        return None, standard + 0.5, None, None  # misses everything by a half

    tokens = tokens_like(np.random.default_rng(0).standard_normal((3, 2, N_DESCRIPTION)), [[0.5, 0.5]] * 3)
    standard = Standard(np.zeros(N_DESCRIPTION), np.ones(N_DESCRIPTION))
    errors = completion_errors(tokens, standard, net)
    assert [int(v.sum(1).unique().item()) for v in calls] == [len(PARTS) - 1] * len(PARTS)
    assert [int(v[0].argmin()) for v in calls] == list(range(len(PARTS)))
    assert all(own[LEARNED] == pytest.approx([0.25] * 3, abs=1e-5) for own in errors.values())


def test_the_real_net_cannot_see_the_hidden_part(net, seen):
    """What it answers for shape does not change with the shape."""
    train, tokens = seen
    standard = Standard.of(train, net)
    assert np.allclose(standard.mean, net.mean)
    changed = tokens.description.copy()
    changed[..., PARTS["shape"]] = 0
    truths = [standard.apply(d) for d in (tokens.description, changed)]
    a, b = (
        completion_errors(tokens_like(d, tokens.weight), standard, net)["shape"][LEARNED]
        for d in (tokens.description, changed)
    )
    visible = torch.ones(truths[0].shape[0] * truths[0].shape[1], len(PARTS))
    visible[:, list(PARTS).index("shape")] = 0
    with torch.no_grad():
        answer = net(torch.from_numpy(truths[0]).flatten(0, 1), visible)[1].numpy().reshape(truths[0].shape)
    for errors, truth in zip((a, b), truths, strict=True):
        own = ((answer - truth)[..., PARTS["shape"]] ** 2).mean(2)
        assert errors == pytest.approx((own * tokens.weight).sum(1), rel=1e-4)


def test_without_a_net_the_training_images_set_the_units(seen):
    train, _ = seen
    standard = Standard.of(train, None)
    scaled = (train.description - standard.mean) / standard.spread
    weight = train.weight[..., None] / len(train)
    assert np.allclose((weight * scaled).sum((0, 1)), 0, atol=1e-3)
    spread = (weight * scaled**2).sum((0, 1))
    assert np.allclose(spread[standard.spread > 1e-5], 1, atol=1e-3)


@pytest.fixture(scope="module")
def findings(shapes, seen, eye, net):
    conditions = [Occluder("grey", 0.25), Occluder("grey", 0.75)]
    hidden = {one: eye.perceive(occlude(shapes.test.images, one, seed=0)) for one in conditions}
    for kind in ("noise", "black"):  # as grey: what is tested here is the bookkeeping
        hidden |= {Occluder(kind, one.share): hidden[one] for one in conditions}
    train, test = seen
    found = representations(eye.look)
    return occlusion(shapes, train, {CLEAN: test, **hidden}, found, net, n_shots=3, n_episodes=6, seed=0)


def test_naming_behind_squares(findings, shapes, seen, eye):
    def accuracy(share):
        return next(
            one["accuracy"]["mean"]
            for one in findings.numbers["results"]
            if (one["representation"], one["classifier"], one["hidden"]) == (MATHEMATICAL, "votes", share)
        )

    found = {MATHEMATICAL: representations(eye.look)[MATHEMATICAL]}
    whole = few_shot(shapes, *seen, found, shots=[3], n_episodes=6, seed=0)
    assert accuracy(0.0) == pytest.approx(whole.numbers["results"][0]["accuracy"]["mean"])
    assert accuracy(0.75) < accuracy(0.0)
    assert accuracy(0.25) > 1 / 3


def test_pages_of_occlusion(findings):
    grey, noise, black, gains, completion = findings.tables
    assert gains.columns == ("difference", "classifier", "nothing hidden")  # a half is hidden by default
    assert grey.columns[2:] == ("0 % hidden", "25 % hidden", "75 % hidden")
    assert grey.rows == noise.rows == black.rows
    assert len(completion.rows) == len(PARTS) * 3
    assert {one["filled_in_by"] for one in findings.numbers["completion"]} == {LEARNED, GIST, MEAN}
    assert list(findings.figures) == ["Named rightly", "Completion"]
    assert findings.notes == ()


def test_without_a_learned_m5_that_is_said(shapes, seen, eye):
    train, test = seen
    hidden = {CLEAN: test, **{Occluder(kind, 0.5): test for kind in OCCLUDERS}}
    found = {MATHEMATICAL: representations(eye.look)[MATHEMATICAL]}
    findings = occlusion(shapes, train, hidden, found, None, n_shots=1, n_episodes=2, seed=0)
    assert findings.notes == ("M5 is not learned: it completes by the gist alone",)


def test_what_is_hidden_by_default():
    assert {(one.kind, one.share) for one in CONDITIONS} == {(k, s) for k in OCCLUDERS for s in SHARES}
    assert SHARES == (0.25, 0.5, 0.75)
    assert SimpleNamespace(**vars(CLEAN)) == SimpleNamespace(kind="grey", share=0.0)


def test_what_is_gained_is_paired_by_image():
    ahead, behind = (Robust(name, PROTOTYPE, o, np.array(x)) for name, o, x in (
        (MATHEMATICAL, Occluder("noise", 0.5), [0.5, 0.75, 1.0]), (RANDOM, Occluder("noise", 0.5), [0.4, 0.65, 0.9]),
    ))  # fmt: skip
    seen = [replace(one, occluder=CLEAN, units=np.array([0.5, 0.5, 0.5])) for one in (ahead, behind)]
    (table,) = _gains([*seen, ahead, behind])
    assert table.columns[2:] == ("nothing hidden", "50 % noise")
    ((difference, classifier, clean, hidden),) = table.rows
    assert (difference, classifier) == (f"{MATHEMATICAL} − {RANDOM}", PROTOTYPE)
    assert clean.split()[0] in ("0.0", "-0.0")
    assert hidden == "10.0 [10.0, 10.0]"  # each image by as much: no doubt is left, though accuracies differ widely
