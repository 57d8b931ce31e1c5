"""What napari reads of the plug-in: well formed, named as the package, and everything in it can be imported."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import ciliary.tuning.napari_plugin as plugin

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MANIFEST = Path(plugin.__file__).parent / "napari.yaml"
needs_napari = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("napari", "npe2", "qtpy")),
    reason="napari is not installed; pip install 'ciliary[napari]'",
)


def test_it_lies_where_the_package_says(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    (place,) = project["project"]["entry-points"]["napari.manifest"].values()
    module, _, file = place.partition(":")
    assert (module, file) == (plugin.__name__, MANIFEST.name)
    assert MANIFEST.name in project["tool"]["setuptools"]["package-data"][module]


def test_every_widget_has_its_command_and_its_name():
    page = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    assert page["name"] == "ciliary"
    commands = {one["id"]: one["python_name"] for one in page["contributions"]["commands"]}
    assert {one["command"] for one in page["contributions"]["widgets"]} == set(commands)
    assert page["contributions"]["widgets"][0]["display_name"] == plugin.TITLE
    for place in commands.values():
        module, _, name = place.partition(":")
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert f"class {name}(" in Path(str(spec.origin)).read_text(encoding="utf-8")


def test_opening_the_package_brings_neither_napari_nor_qt_nor_torch():
    code = (
        "import sys\n"
        "import ciliary.tuning.napari_plugin, ciliary.tuning.napari_plugin.asked, ciliary.tuning.napari_plugin.slices\n"
        "print([name for name in ('napari', 'qtpy', 'PySide6', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_napari_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "napari", None)
    with pytest.raises(ImportError, match=r"pip install 'ciliary\[napari\]'"):
        plugin.add_to_viewer()


@pytest.mark.slow  # napari and Qt are imported
@needs_napari
def test_napari_takes_it():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    (widget,) = manifest.contributions.widgets
    (command,) = manifest.contributions.commands
    assert (manifest.name, widget.command) == ("ciliary", command.id)
    from ciliary.tuning.napari_plugin.widget import AccommodateWidget

    assert "napari_viewer" in inspect.signature(AccommodateWidget.__init__).parameters  # by which napari gives it
