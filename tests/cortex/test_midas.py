"""MiDaS through torch.hub, on a tiny stand-in repository: the real loading code, and what it says when it cannot."""

import sys
import urllib.error

import pytest
import torch

from ciliary.cortex.cues import DepthUnavailable, make_depth, midas

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
