"""The site: Sphinx, because the field's users (PyTorch, gymnasium, scikit-image) know its pages and inventories."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Ciliary"
author = "The Ciliary authors"
try:
    release = metadata.version("ciliary")
except metadata.PackageNotFoundError:  # from a checkout that is not installed
    release = ""

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "docstrings", "pages"]
exclude_patterns = ["*_reading.md", "**.ipynb_checkpoints"]  # these are parts of the pages that scripts write
root_doc = "index"
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
myst_heading_anchors = 4  # as GitHub names them, so that page.md#heading works in both
suppress_warnings = ["myst.header"]
nb_execution_mode = "off"  # tutorials are stored as they were last run; a test runs them
myst_enable_extensions = ["dollarmath"]

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "Ciliary"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
templates_path: list[str] = []
