"""Scripts as modules."""

import importlib.util
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


def load_script(name):
    """``scripts/<name>.py`` imported, without running it."""
    spec = importlib.util.spec_from_file_location(f"{name}_script", SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
