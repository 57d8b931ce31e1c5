"""The mixture that comes along: where it is read from, what it does in the dorsal pathway, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ciliary.cortex.dorsal.conspicuity import Conspicuity
from ciliary.cortex.dorsal.mixture import N_HAND_MAPS, GazeMixture, attraction, mixture_text, read_mixture
from ciliary.cortex.dorsal.priority import Dorsal, centre_prior
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina


@pytest.fixture
def maps() -> Conspicuity:
    rng = torch.Generator().manual_seed(0)
    return Conspicuity(*(torch.rand(2, 1, 12, 16, generator=rng) for _ in range(4)))


def test_what_is_written_is_read(tmp_path):
    shipped = read_mixture()
    assert len(shipped.weights) == N_HAND_MAPS == 12
    assert 0.5 < shipped.prior_exponent < 1.5
    assert shipped.about["people"] == "osie"
    (tmp_path / "mine.json").write_text(mixture_text(shipped), encoding="utf-8")
    again = read_mixture(tmp_path / "mine.json")
    assert torch.equal(again.weights, shipped.weights)
    assert (again.prior_exponent, again.features, again.about) == (shipped.prior_exponent, "none", shipped.about)
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="expected a mixture of gaze"):
        read_mixture(tmp_path / "other.json")
    with pytest.raises(FileNotFoundError, match="train gaze"):
        read_mixture(tmp_path / "none.json")


def test_attraction_is_the_density_without_a_prior(maps):
    found = attraction(read_mixture(), maps, cells_per_deg=2.0)
    assert found.shape == (2, 1, 12, 16)
    assert bool((found > 0).all())
    assert torch.allclose(found.mean((1, 2, 3)), torch.ones(2), atol=1e-5)
    with pytest.raises(ValueError, match="a mixture of 12 maps, got one of 3"):
        attraction(GazeMixture(torch.ones(3), 1.0), maps, cells_per_deg=2.0)


def test_the_dorsal_pathway_takes_it(small_image):
    seen = retina(small_image, default_theta(len(small_image)))
    mixture = read_mixture()
    plain, learned = Dorsal(px_per_deg=4.0)(seen), Dorsal(px_per_deg=4.0, mixture=mixture)(seen)
    assert learned.shape == plain.shape
    assert torch.allclose(learned.sum((1, 2, 3)), torch.ones(len(learned)))
    assert not torch.allclose(learned, plain, atol=1e-4)
    prior = centre_prior((plain.shape[-2], plain.shape[-1]))
    pulled = Dorsal(px_per_deg=4.0, mixture=mixture)(seen, prior=prior)
    expected = learned * prior**mixture.prior_exponent
    assert torch.allclose(pulled, expected / expected.sum((1, 2, 3), keepdim=True), atol=1e-6)
    with pytest.raises(ValueError, match="needs maps of efficientnet_lite0"):
        Dorsal(px_per_deg=4.0, mixture=replace(mixture, features="efficientnet_lite0"))


def test_the_centre_prior():
    prior = centre_prior((30, 40))
    assert float(prior.sum()) == pytest.approx(1)
    assert torch.allclose(prior, prior.flip(2, 3), atol=1e-9)
    assert float(prior.max() / prior.min()) > 10
    flat = centre_prior((30, 40), exponent=0)
    assert torch.allclose(flat, torch.full_like(flat, 1 / 1200))
    with pytest.raises(ValueError, match="exponent >= 0"):
        centre_prior((30, 40), exponent=-1)
