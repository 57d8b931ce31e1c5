"""The site: every page has its place, every public name its entry, and all of it builds without a warning."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ciliary_tests.loading import load_script

needs_sphinx = pytest.mark.skipif(
    importlib.util.find_spec("furo") is None or importlib.util.find_spec("myst_nb") is None,
    reason="the site's packages are not installed; pip install 'ciliary[docs]'",
)
needs_kernel = pytest.mark.skipif(
    importlib.util.find_spec("nbclient") is None or importlib.util.find_spec("ipykernel") is None,
    reason="notebooks cannot be run here; pip install 'ciliary[docs]'",
)
DOCS = Path(__file__).resolve().parents[1] / "docs"
PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TUTORIALS = sorted((DOCS / "tutorials").glob("*.ipynb"))


def load(path: Path):
    spec = importlib.util.spec_from_file_location(f"site_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages():
    return load(DOCS / "_ext" / "pages.py")


def test_the_configuration_is_read(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    conf = load(DOCS / "conf.py")
    assert conf.html_theme == "furo"
    assert {"pages", "docstrings"} <= set(conf.extensions)


def test_every_page_stands_in_one_section(pages):
    placed = [name for names in pages.tree().values() for name in names]
    found = {path.relative_to(DOCS).with_suffix("").as_posix() for path in (*DOCS.rglob("*.md"), *TUTORIALS)}
    assert sorted(placed) == sorted(name for name in found if name != "index" and not name.endswith("_reading"))


def test_a_page_that_no_section_names_is_a_how_to(pages, monkeypatch):
    monkeypatch.setattr(pages, "pages", lambda: {"loop", "brand_new", "tutorials/another", "reference/index"})
    tree = pages.tree()
    assert tree["How-to"] == ["loop", "brand_new"]
    assert tree["Tutorials"] == ["tutorials/another"]
    assert tree["Reference"] == ["reference/index"]
    assert set(tree) == {"How-to", "Tutorials", "Reference"}  # no empty section


def test_pages_that_are_called_otherwise_exist(pages):
    assert set(pages.CALLED) <= pages.pages()
    assert "Race of controllers <race>\n" in pages.toctrees()


def test_every_command_has_its_page_of_help(pages):
    from ciliary.tuning.cli.app import COMMANDS

    text = pages.help_pages()
    for command in COMMANDS:
        assert f"## ciliary {command}\n" in text


def public_names(room: str) -> set[str]:
    """Names that a room offers: of its stub, or those that its __init__ imports under themselves."""
    text = "".join(
        path.read_text(encoding="utf-8") for path in (DOCS.parent / room).glob("__init__.py*") if path.is_file()
    )
    return {line.split(" as ")[1].strip() for line in text.splitlines() if line.startswith("from ") and " as " in line}


@pytest.mark.parametrize("room", ["cortex", "envs", "agents"])
def test_every_public_name_is_in_the_reference(room):
    text = (DOCS / "reference" / f"{room}.md").read_text(encoding="utf-8")
    names = public_names(room)
    assert len(names) >= 10
    assert not {name for name in names if f"ciliary.{room}.{name}\n" not in text}


def test_docstrings_in_markdown_become_restructuredtext():
    to_rst = load(DOCS / "_ext" / "docstrings.py").to_rst
    table = ["| key | range |", "|---|---|", "| ``u`` | [-1, 1] |"]
    text = "\n".join(to_rst(["One.", "", "## Action space", *table, "", "```", "x = 1", "```"]))
    assert ".. rubric:: Action space" in text
    assert ".. list-table::\n   :header-rows: 1\n\n   * - key\n     - range\n   * - ``u``\n     - [-1, 1]\n" in text
    assert ".. code-block:: python\n\n   x = 1\n" in text
    assert to_rst(["| a line block", "of one"]) == ["| a line block", "of one"]


@pytest.mark.slow
@needs_sphinx
def test_it_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-E", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "AccommodationEnv" in (tmp_path / "reference" / "envs.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_programs_of_start_and_reference_run(tmp_path):
    pages = [DOCS / "start.md", *sorted((DOCS / "reference").glob("*.md"))]
    blocks = [body for page in pages for body in PROGRAM.findall(page.read_text("utf-8"))]
    programs = [body for body in blocks if not body.startswith("# mine.py")]
    assert len(programs) == 6
    assert len(blocks) == 7
    (tmp_path / "mine.py").write_text(next(body for body in blocks if body not in programs))
    (tmp_path / "programs.py").write_text("\n".join(["import mine", *programs, "assert callable(mine.segment)"]))
    done = subprocess.run(
        [sys.executable, "programs.py"], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_stored_notebook_is_small_and_names_no_machine(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 250_000
    assert not [word for word in ("/tmp/", "/home/", sys.prefix, "Traceback") if word in text]


@pytest.mark.slow
@needs_kernel
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path, monkeypatch):
    for name, value in {"OMP_NUM_THREADS": "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    notebook = load_script("run_tutorials").run(path)
    assert any(cell.get("outputs") for cell in notebook.cells)
