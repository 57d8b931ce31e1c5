"""Growing filters: photographs in, a file, a report and figures out; the same seed, the same filters."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ciliary.cortex import Cortex
from ciliary.cortex.stages.m1_grown import about, grown
from ciliary.tuning.cli.app import main
from ciliary.tuning.training import filters_job
from ciliary.tuning.training.filters import GrowSettings, grow
from ciliary.tuning.training.filters_data import cut_patches, through_retina
from ciliary.tuning.training.filters_report import code_row, log_gabor_atoms, log_gabor_fields, show


def edges(n=4000, px=8):
    """Patches of one edge each, at any angle and place, and a little noise."""
    generator = torch.Generator().manual_seed(3)
    angle, shift = math.pi * torch.rand(n, 1, 1, generator=generator), 4 * torch.rand(n, 1, 1, generator=generator) - 2
    y, x = torch.meshgrid(torch.arange(px) - 3.5, torch.arange(px) - 3.5, indexing="ij")
    wave = torch.tanh(2 * (y * torch.cos(angle) - x * torch.sin(angle) - shift))
    return (wave + 0.1 * torch.randn(wave.shape, generator=generator)).flatten(1)


@pytest.mark.parametrize("rule", ["sanger", "sparse", "stdp"])
def test_a_seed_is_a_bank(rule):
    settings = GrowSettings(rule, n_units=12, n_steps=20, patch_px=8)
    one, again = (grow(edges(), settings).fields for _ in range(2))
    other = grow(edges(), GrowSettings(rule, n_units=12, n_steps=20, patch_px=8, seed=1)).fields
    assert one.shape == (12, 8, 8)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_sanger_grows_the_components_of_windowed_patches_in_their_order():
    settings = GrowSettings("sanger", n_units=3, n_steps=1500, patch_px=8)
    grown_ = grow(edges(), settings)
    side = torch.arange(8) - 3.5
    bell = torch.exp(-0.5 * (side / (8 / 6)) ** 2)
    seen = grown_.whitening(edges()) * torch.outer(bell, bell).flatten()
    axes = torch.linalg.eigh(seen.T @ seen).eigenvectors
    overlap = (grown_.weights @ axes.flip(1)).square()
    # edges at all angles make the first two alike: together they span what the first two components do
    assert overlap[:2, :2].sum(1).min() > 0.9
    assert overlap[2, 2:5].sum() > 0.9


def test_sparse_units_are_all_kept_at_work():
    from ciliary.cortex.neurons.sparse import lca

    settings = GrowSettings("sparse", n_units=40, n_steps=200, patch_px=8)
    units = grow(edges(), settings)
    white = units.whitening(edges())
    rates = (lca(white / white.std(), units.weights, units.threshold, n_steps=30) != 0).float().mean(0)
    assert rates.min() > 0.2 * settings.rate
    assert rates.max() < 4 * settings.rate


def test_patches_are_cut_of_all_maps_that_are_large_enough():
    maps = [torch.full((9, 12), float(i)) for i in range(3)] + [torch.full((5, 20), 7.0)]
    found = cut_patches(maps, 30, 8, torch.Generator().manual_seed(0))
    assert found.shape == (30, 64)
    assert sorted(found.mean(1).tolist()) == [0.0] * 10 + [1.0] * 10 + [2.0] * 10
    with pytest.raises(ValueError, match="8 px and more"):
        cut_patches(maps[3:], 30, 8, torch.Generator())


def test_through_the_retina_a_pixel_has_a_surround():
    field = through_retina(torch.eye(1)[None])[0]
    assert field.shape == (13, 13)
    assert field[6, 6] > 0.1
    assert field[6, 9] < 0
    assert abs(field.sum()) < 0.02 * field.abs().sum()


def test_a_bank_that_holds_the_patches_explains_them():
    white = torch.randn(50, 36, generator=torch.Generator().manual_seed(0))
    few, whole = (float(cell) for cell in code_row("all", white, torch.eye(36))[2:4])
    assert whole == pytest.approx(1, abs=1e-3)
    assert few == pytest.approx(float(white.square().topk(10, 1).values.sum() / white.square().sum()), abs=2e-3)
    assert log_gabor_atoms(16).shape == (12 * (16 + 4 + 1), 16, 16)


def test_a_folder_becomes_units_a_report_and_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(filters_job, "N_PATCHES", 5000)
    few = show("log-Gabor", log_gabor_fields(15, 0)[:2])  # all of them take as long as the rest
    monkeypatch.setattr(filters_job, "show_log_gabors", lambda through: few)
    generator = np.random.default_rng(0)
    for i in range(4):
        coarse = Image.fromarray(generator.integers(0, 255, (12, 16, 3), dtype=np.uint8))
        coarse.resize((96, 72), Image.Resampling.NEAREST).save(tmp_path / f"{i}.png")
    (tmp_path / "torn.png").write_bytes(b"no picture")
    out = tmp_path / "out" / "own.safetensors"
    told = ["train", "filters", str(tmp_path), "--units", "30", "--steps", "60", "--patch-px", "10", "--size", "96"]
    assert main([*told, "--out", str(out)]) == 3  # one could not be read
    assert {one.name for one in out.parent.iterdir()} == {"own.safetensors", "own.md", "own.png", "own.tuning.png"}
    assert about(out)["photographs"]["n"] == 4
    assert about(out)["settings"]["n_units"] == 30
    assert load_file(out)["units"].shape == (30, 10, 10)
    assert "torn.png" in capsys.readouterr().err
    page = out.with_suffix(".md").read_text()
    assert "macaque V1" in page
    assert "R² of 10" in page
    assert not about(out)["is_m1"]  # noise in blocks, so few steps: too few orientations
    with pytest.raises(ValueError, match="no grown filters"):
        grown(out)


def test_what_is_written_is_what_a_cortex_sees_with(tmp_path):
    own, path = grown().v1, tmp_path / "own.safetensors"
    path.write_bytes(filters_job.filters_to_bytes(SimpleNamespace(fields=torch.zeros(2, 4, 4)), own, {"is_m1": True}))
    again = grown(path)
    for name, value in own.state_dict().items():
        assert torch.equal(again.v1.state_dict()[name], value), name
    image = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Cortex(m1=again)(image).masks, Cortex(m1=grown())(image).masks)


def test_one_photograph_is_too_few(tmp_path, capsys):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    assert main(["train", "filters", str(tmp_path), "--out", str(tmp_path / "o.safetensors")]) == 1
    assert "two photographs or more" in capsys.readouterr().err
