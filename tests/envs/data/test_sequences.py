"""Films: where a made-up patch is in each frame, and the frames of folders in their order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.active.drifting import patch_frames
from ciliary.envs.data.active.sequences import drawn_patch_film, film_folders, mapped, patch_film, read_film
from ciliary.envs.eye.sources import fitted

HOW = {"background_px": (0.0, 1.0), "patch_px": (0.5, -1.0), "n_frames": 11, "size_px": (60, 80), "side_px": 20}


def test_the_patch_is_where_it_is_said_to_be():
    scene = patch_film(**HOW, start_px=(25.0, 50.0), px_per_deg=5.0, seed=4)
    frames, square = patch_frames(**HOW, seed=4, centre_px=(30.0, 40.0))  # ten frames later
    for i in (0, 5, 10):
        y, x = (place.double().mean() for place in torch.nonzero(square[i], as_tuple=True))
        there = (float(y - 29.5) / 5, float(x - 39.5) / 5)
        assert scene.film.mover_deg(i) == pytest.approx(there, abs=0.11)  # half a pixel
        torch.testing.assert_close(scene.film.at(i).light, srgb_to_linear(frames[i]))
    assert torch.equal(scene.light, scene.film.at(0).light)
    assert scene.film.at(3).film is None


def test_grounds_pan_or_rest_as_asked_and_nothing_else_is_drawn_otherwise():
    rest, pan = (
        drawn_patch_film(3, n_frames=12, size_px=(60, 80), px_per_deg=5.0, is_panning=one) for one in (False, True)
    )
    assert rest.film.mover_deg(7) == pan.film.mover_deg(7)

    def changed(scene):
        return (scene.film.at(8).light - scene.film.at(0).light)[:, :6, :6].abs().max()

    assert min(float(changed(pan)), 1e-3) > float(changed(rest))


def test_every_frame_is_fitted_as_the_first_is():
    scene = mapped(patch_film(**HOW), lambda one: fitted(one, (30, 40)))
    assert scene.size_px == scene.film.at(9).size_px == (30, 40)
    assert scene.px_per_deg == scene.film.at(9).px_per_deg
    assert scene.film.mover_deg(9) == patch_film(**HOW).film.mover_deg(9)


def test_frames_are_read_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    for i in (10, 9, 100):
        Image.fromarray(np.full((40, 50, 3), i, dtype=np.uint8)).save(folder / f"f{i}.png")
    film = read_film(folder, frame_ms=40.0, width_deg=10.0).film
    greys = [float(film.at(i).light.mean()) for i in range(film.n_frames)]
    assert greys == sorted(greys)
    assert (film.n_frames, film.frame_ms, film.at(2).px_per_deg) == (3, 40.0, 5.0)
    assert film_folders(folder) == film_folders(tmp_path) == [folder]
    with pytest.raises(ValueError, match="no film"):
        film_folders(tmp_path / "nowhere")


def test_a_run_with_depth_is_a_film(data_root):
    folder = data_root / "active" / "depth" / "kitchen_run"
    if not folder.is_dir():
        pytest.skip(f"no frames with depth at {folder}")
    scene = read_film(folder, nearness=2.0)
    assert scene.film.n_frames > 10
    last = scene.film.at(scene.film.n_frames - 1)
    assert last.size_px == scene.size_px
    assert not torch.equal(last.distance_dpt, scene.distance_dpt)
