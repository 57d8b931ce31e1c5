"""The panel at work on a viewer's model, without a window: Qt draws nowhere, and no graphics card is asked."""

from __future__ import annotations

import importlib.util
import os
import time

import numpy as np
import pytest

from ciliary_tests.bright import bright, picky

pytestmark = [
    pytest.mark.slow,  # napari and Qt are imported
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("napari", "qtpy")),
        reason="napari is not installed; pip install 'ciliary[napari]'",
    ),
]
WAIT_S = 60


@pytest.fixture(scope="module")
def app():
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from qtpy.QtWidgets import QApplication

    return QApplication.instance() or QApplication([])


@pytest.fixture
def notices():
    """What napari has told the user, as (kind, words)."""
    from napari.utils.notifications import notification_manager

    notification_manager.records.clear()
    yield lambda: [(one.severity.value, one.message) for one in notification_manager.records]
    notification_manager.records.clear()


@pytest.fixture
def viewer(app):
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def open_panel(app, viewer):
    from ciliary.tuning.napari_plugin.asked import Asked
    from ciliary.tuning.napari_plugin.widget import AccommodateWidget

    made = []

    def open_it(**asked):
        panel = AccommodateWidget(viewer, Asked(**{"perceiver": bright, "size_px": 60, "n_trials": 4, **asked}))
        made.append(panel)
        return panel

    yield open_it
    for panel in made:
        wait(panel)
        panel.deleteLater()
    app.processEvents()


def wait(panel, until=lambda: True):
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + WAIT_S
    while panel.is_busy or not until():
        QApplication.processEvents()
        time.sleep(0.002)
        assert time.monotonic() < end, panel.panel.words.text()


def regions(viewer):
    (layer,) = [one for one in viewer.layers if one.name.endswith(" regions")]
    return layer


def test_an_image_is_looked_at_as_soon_as_it_is_there_and_a_slider_changes_its_labels(viewer, open_panel, tiles):
    panel = open_panel()
    assert panel.state is None
    assert not panel.panel.act.isEnabled()
    viewer.add_image(tiles[0], name="tiles", scale=(0.5, 0.5))
    wait(panel)
    layer = regions(viewer)
    assert np.array_equal(layer.data, 1 + (tiles[0] / 255 >= 0.5))
    assert tuple(layer.scale) == (0.5, 0.5)
    assert viewer.layers.selection.active.name == "tiles"
    row = panel._sliders.rows["threshold"]
    row.slider.setValue(20)
    wait(panel)
    assert regions(viewer) is layer
    assert layer.data.max() > 2
    assert row.box.value() == pytest.approx(panel.values["threshold"], abs=1e-3)
    row.box.setValue(0.5)  # typed
    wait(panel)
    assert layer.data.max() == 2
    assert len(panel.state.past) == 2
    for button in (panel.panel.undo, panel.panel.undo):
        button.click()
    wait(panel)
    assert panel.values == panel.desk.seer.defaults
    assert not panel.state.can_undo


def test_of_moves_that_come_fast_the_last_is_shown_and_few_are_made(viewer, open_panel, tiles, monkeypatch):
    panel = open_panel()
    viewer.add_image(tiles[0], name="tiles")
    wait(panel)
    from ciliary.tuning.napari_plugin.desk import Desk

    made, maps = [], Desk.maps
    monkeypatch.setattr(Desk, "maps", lambda self: made.append(self.values["threshold"]) or maps(self))
    row = panel._sliders.rows["threshold"]
    row.slider.setSliderDown(True)
    for step in range(150, 20, -1):
        row.slider.setValue(step)
    row.slider.setSliderDown(False)
    wait(panel)
    assert made[-1] == panel.values["threshold"]
    assert len(made) < 20
    assert len(panel.state.past) == 1  # one step, however many places it passed


def test_it_accommodates_and_undoes_it(viewer, open_panel, tiles, notices):
    panel = open_panel()
    viewer.add_image(tiles[0], name="tiles")
    wait(panel)
    panel._sliders.rows["threshold"].slider.setValue(160)
    wait(panel)
    before = panel.values
    panel.panel.act.click()
    assert not panel.panel.act.isEnabled()
    wait(panel, until=lambda: panel.state.episode is not None)
    names = {layer.name for layer in viewer.layers}
    assert names == {"tiles", "tiles regions", "tiles disagreement"}
    assert panel.panel.verdict.text() in [words for _, words in notices()]
    assert viewer.layers["tiles disagreement"].contrast_limits == [0, 1]
    panel.panel.boundary.setChecked(True)
    wait(panel)
    assert viewer.layers["tiles boundary"].data.max() == 1
    assert panel.panel.image.count() == 1  # what it shows is no image to be looked at
    panel.panel.undo.click()
    wait(panel)
    assert panel.values == before


def test_an_episode_is_cancelled_and_nothing_changes(viewer, open_panel, tiles, notices):
    panel = open_panel(n_trials=10_000, way="tpe")
    viewer.add_image(tiles[0], name="tiles")
    wait(panel)
    before = panel.state
    panel.accommodate()
    panel.panel.stop.click()
    wait(panel)
    assert panel.state is before
    assert ("info", "stopped; nothing was changed") in notices()


def test_of_a_stack_the_slice_in_front_is_seen_where_it_lies(viewer, open_panel, tiles):
    panel = open_panel()
    viewer.add_image(tiles, name="stack", scale=(2, 1, 1), translate=(10, 0, 0))
    viewer.dims.set_point(0, 12)
    wait(panel, until=lambda: panel.desk.source.place.index == (1, None, None))
    layer = regions(viewer)
    assert layer.data.shape == (1, 40, 60)
    assert tuple(layer.translate) == (12, 0, 0)
    assert np.array_equal(layer.data[0], 1 + (tiles[1] / 255 >= 0.5))
    panel._sliders.rows["threshold"].slider.setValue(20)
    wait(panel)
    kept = panel.values
    viewer.dims.set_point(0, 14)
    wait(panel, until=lambda: panel.desk.source.place.index == (2, None, None))
    assert panel.values == kept
    assert tuple(regions(viewer).translate) == (14, 0, 0)


def test_a_pyramid_is_seen_at_a_level_that_is_enough(viewer, open_panel, tiles):
    panel = open_panel()
    fine = np.kron(tiles[0], np.ones((4, 4), np.uint8))
    viewer.add_image([fine, fine[::2, ::2], fine[::4, ::4]], name="pyramid")
    wait(panel)
    layer = regions(viewer)
    assert layer.data.shape == (160, 240)
    assert "60 × 40 px" in panel.panel.words.text()


def test_errors_are_told_and_the_panel_lives(viewer, open_panel, tiles, notices):
    panel = open_panel(perceiver=picky)
    viewer.add_image(tiles[0], name="tiles")
    wait(panel)
    for value, words in ((0.9, "too bright for me"), (0.75, "expected a label map")):
        panel._sliders.rows["threshold"].box.setValue(value)
        wait(panel)
        kind, told = notices()[-1]
        assert kind == "error"
        assert words in told
    panel.panel.reset.click()
    wait(panel)
    assert regions(viewer).data.max() == 2
    layer = viewer.add_image(np.full((40, 40, 3), 1.5, np.float32), name="bright", rgb=True)
    panel.panel.image.setCurrentIndex(panel.panel.image.findData(str(layer.unique_id)))
    panel.look()
    wait(panel)
    assert "bright: expected values in [0, 1], uint8 or uint16, got 1.5 to 1.5" in notices()[-1][1]
    assert panel.state is None
    viewer.layers.remove("bright")
    wait(panel, until=lambda: panel.state is not None)
    tiny = viewer.add_image(np.zeros((2, 2)), name="tiny")
    panel.panel.image.setCurrentIndex(panel.panel.image.findData(str(tiny.unique_id)))
    panel.look()
    wait(panel)
    assert "tiny: 2x2 px is too small" in notices()[-1][1]
    viewer.layers.clear()
    wait(panel)
    assert panel.panel.words.text() == "open an image, and it is looked at here"
    assert not panel.panel.act.isEnabled()


def test_a_file_of_one_s_own_is_named_and_read_anew(viewer, open_panel, tiles, tmp_path, notices):
    path = tmp_path / "cut_of_a_test.py"
    path.write_text("def cut(image, *, level=0.5):\n    return image.mean(-1) > level\n")
    panel = open_panel(perceiver="watershed")
    viewer.add_image(tiles[0], name="tiles")
    wait(panel)
    panel.panel.who.setCurrentIndex(panel.panel.who.count() - 1)
    assert panel.panel.words.text().startswith("name your own function")
    panel.panel.own.setText(str(path))
    panel.panel.own.returnPressed.emit()
    wait(panel)
    assert next(iter(panel._sliders.rows)) == "level"
    path.write_text("def cut(image, *, level=0.5, times=2):\n    return (image.mean(-1) * times) > level\n")
    panel.panel.anew.click()
    wait(panel)
    assert {"level", "times"} <= set(panel._sliders.rows)
    panel.panel.own.setText("no_module_of_this_name:f")
    panel.panel.own.returnPressed.emit()
    wait(panel)
    assert "found no module 'no_module_of_this_name'" in notices()[-1][1]


def test_settings_and_command_are_taken_home(app, viewer, open_panel, tiles, tmp_path, monkeypatch, notices):
    from ciliary.tuning.napari_plugin import home

    panel = open_panel()
    viewer.add_image(tiles[0], name="tiles")
    wait(panel)
    panel._sliders.rows["threshold"].box.setValue(0.25)
    path = str(tmp_path / "tiles.settings.json")
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(home.QFileDialog, name, lambda *_: (path, ""))
    panel.panel.save.click()
    panel.panel.reset.click()
    assert panel.values["threshold"] == 0.5
    panel.panel.load.click()
    assert panel.values["threshold"] == 0.25
    wait(panel)
    panel.panel.from_here.setChecked(True)
    panel.panel.copy.click()
    assert app.clipboard().text().startswith("ciliary accommodate tiles.png --perceiver ciliary_tests.bright:bright")
    assert app.clipboard().text().endswith("--set threshold=0.25")
    (tmp_path / "tiles.settings.json").write_text("no settings")
    panel.panel.load.click()
    assert notices()[-1][0] == "error"
    assert "expected JSON with a number for each name" in notices()[-1][1]


def test_a_panel_that_is_gone_is_told_nothing(app, viewer, tiles):
    from qtpy.QtCore import QCoreApplication, QEvent

    from ciliary.tuning.napari_plugin.asked import Asked
    from ciliary.tuning.napari_plugin.widget import AccommodateWidget

    panel = AccommodateWidget(viewer, Asked(perceiver=bright, size_px=60))
    viewer.add_image(tiles[0], name="tiles")
    wait(panel)
    panel.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    viewer.add_image(tiles[1], name="another")  # would raise, were the panel asked
    viewer.layers.remove("tiles")
    assert {layer.name for layer in viewer.layers} == {"tiles regions", "another"}
