"""A readout learns what can be read, stops by the validation images, and is the same from the same seed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from ciliary.tuning.readout.fields import FieldStore, blurred, pixels
from ciliary.tuning.readout.fit import FitSettings, fit
from ciliary.tuning.readout.models import Readout, make_head, make_unet, probabilities
from ciliary.tuning.readout.split import Split

SPLIT = Split((0, 1), (2,), (3,))
QUICK = FitSettings(n_epochs=15, n_steps=6, n_batch=2, crop_px=16, rate=3e-2)


@pytest.fixture
def store(tmp_path):
    """Three fields, of which the second says the class, the third never changes."""
    kept, generator = FieldStore(tmp_path / "fields"), torch.Generator().manual_seed(0)
    for i in range(4):
        target = torch.randint(2, (24, 20), generator=generator)
        said = 50 + 5 * target + torch.randn(24, 20, generator=generator)
        kept.add(i, torch.stack([torch.randn(24, 20, generator=generator), said, torch.ones(24, 20)]), target.numpy())
    return kept


def test_it_learns_what_a_field_says(store):
    fitted = fit(partial(make_head, "linear", 3, 2), store, SPLIT, QUICK)
    found = probabilities(fitted.model, store.fields(3)[None])[0].argmax(0).numpy()
    assert (found == store.target(3)).mean() > 0.97
    assert fitted.model.scale[2] == 0, "a field that never changes is switched off"
    assert abs(float(fitted.model.mean[1]) - 52.5) < 1
    assert fitted.epochs[-1].validation < fitted.epochs[0].validation


def test_a_seed_is_a_model(store):
    make = partial(make_head, "conv", 3, 2)
    one, again = (fit(make, store, SPLIT, replace(QUICK, n_epochs=2)) for _ in range(2))
    other = fit(make, store, SPLIT, replace(QUICK, n_epochs=2, seed=1))
    assert one.epochs == again.epochs
    weights = [one.model.state_dict()["body.0.weight"] for one in (one, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_best_epoch_is_kept_and_it_ends_when_none_is_better(store):
    """At a rate at which weights are thrown about, the last epoch is not the best one."""
    how = replace(QUICK, rate=3.0, n_epochs=40, patience=3, plateau=50)
    fitted = fit(partial(make_head, "linear", 3, 2), store, SPLIT, how)
    assert len(fitted.epochs) < 40
    assert fitted.epochs[-1].number == fitted.best.number + 3
    target = torch.from_numpy(store.target(2))[None]
    from ciliary.tuning.readout.losses import parse_loss

    kept = float(parse_loss(how.loss)(fitted.model(store.fields(2)[None]), target, None))
    assert kept == pytest.approx(fitted.best.validation, abs=1e-5)


def test_the_rate_falls_where_validation_stands_still(store):
    how = replace(QUICK, rate=3.0, n_epochs=12, patience=12, plateau=0)
    rates = [epoch.rate for epoch in fit(partial(make_head, "linear", 3, 2), store, SPLIT, how).epochs]
    assert rates[0] == 3.0
    assert rates[-1] < 3.0


def test_crops_are_turned_with_their_classes(store):
    crops = store.crops((3,), 12, 12, torch.Generator().manual_seed(0), is_turned=True)
    assert crops.fields.shape == (12, 3, 12, 12)
    said = (crops.fields[:, 1] > 52.5).long()
    assert (said == crops.target).float().mean() > 0.95
    whole = store.target(3)
    upright = [whole[t : t + 12, s : s + 12] for t in range(13) for s in range(9)]
    n_upright = sum(any(np.array_equal(one.numpy(), cut) for cut in upright) for one in crops.target)
    assert n_upright < 12


@pytest.mark.parametrize("head", ["linear", "conv"])
def test_heads_are_small(head):
    assert make_head(head, 60, 8).n_weights <= 20_000


def test_odd_sizes_are_padded_and_cut_again():
    model = Readout(torch.nn.AvgPool2d(8), 1, multiple_px=8)
    model.body = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Upsample(scale_factor=8))
    assert torch.equal(model(torch.ones(1, 1, 13, 21)), torch.ones(1, 1, 13, 21))


def test_a_u_net_takes_any_size():
    pytest.importorskip("segmentation_models_pytorch")
    model = make_unet(3).eval()
    assert probabilities(model, torch.rand(1, 3, 40, 50)).shape == (1, 3, 40, 50)


def test_a_darker_image_is_the_same_to_a_u_net_and_its_blurs_too():
    image = torch.rand(1, 3, 16, 16)
    assert torch.allclose(blurred(image), blurred(0.2 * image), atol=1e-4)
    assert torch.isfinite(blurred(torch.full((1, 3, 16, 16), 0.4))).all()
    assert torch.equal(blurred(image)[:, :3], pixels(image))
    assert blurred(image).shape == (1, 15, 16, 16)


def test_another_look_is_learned_from_too(store):
    generator = torch.Generator().manual_seed(0)
    store.add(0, torch.full((3, 24, 20), 7.0), store.target(0))
    assert not (store.fields(0) == 7).any(), "what validates is the first look"
    crops = store.crops((0,), 20, 8, generator, is_turned=False)
    assert 3 < (crops.fields == 7).flatten(1).all(1).sum() < 17
