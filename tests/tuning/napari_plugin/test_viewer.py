"""The panel in a real viewer, opened as from its menu: in a process of its own, on a screen that nobody sees."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("xvfb-run") is None
        or any(importlib.util.find_spec(name) is None for name in ("napari", "npe2", "qtpy")),
        reason="needs xvfb-run, and pip install 'ciliary[napari]'",
    ),
]

PROGRAM = """
import sys, time
from pathlib import Path
import numpy as np, npe2, napari
from qtpy.QtWidgets import QApplication
import ciliary.tuning.napari_plugin as plugin

manager = npe2.PluginManager.instance()
if "ciliary" not in manager._manifests:
    manager.register(npe2.PluginManifest.from_file(Path(plugin.__file__).parent / "napari.yaml"))
viewer = napari.Viewer(show=False)
viewer.window._qt_window.show()
steps = np.kron(np.linspace(20, 200, 6), np.ones(10))
viewer.add_image(np.tile(steps, (40, 1)).astype(np.uint8), name="tiles")
for _ in range(5):
    QApplication.processEvents()  # drawn, before anything else comes
assert "torch" not in sys.modules

def wait(panel):
    end = time.monotonic() + 200
    while panel.is_busy:
        QApplication.processEvents()
        time.sleep(0.005)
        assert time.monotonic() < end

dock, panel = viewer.window.add_plugin_dock_widget("ciliary", plugin.TITLE)
assert "torch" not in sys.modules  # the window does not wait for it
panel.panel.who.setCurrentIndex(panel.panel.who.findData("watershed"))
panel.panel.n_trials.setValue(4)
wait(panel)
panel.accommodate()
wait(panel)
assert panel.state.episode is not None
assert {"tiles", "tiles regions", "tiles disagreement"} <= {layer.name for layer in viewer.layers}
assert viewer.screenshot(canvas_only=False, flash=False).std() > 0
dock.destroyOnClose()
own = plugin.add_to_viewer(viewer, perceiver="slic", size_px=48)
wait(own)
assert own.values["compactness"] == 20
viewer.close()
print("well")
"""


def test_it_is_opened_by_its_name_and_from_python():
    environment = {k: v for k, v in os.environ.items() if k not in ("QT_QPA_PLATFORM", "PYTEST_CURRENT_TEST")}
    environment |= {"OMP_NUM_THREADS": "1", "LP_NUM_THREADS": "1"}
    command = ["xvfb-run", "-a", "-s", "-screen 0 1024x768x24", sys.executable, "-X", "faulthandler", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=500)
    if "Could not load the Qt platform plugin" in done.stderr or "Failed to create" in done.stderr:
        pytest.skip("the system has not all that Qt draws with")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "well"
