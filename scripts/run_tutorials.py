#!/usr/bin/env python
"""Run the notebooks of ``docs/tutorials`` anew, in place, and keep what they show: ``run_tutorials.py [NAME ...]``."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "tutorials"


def small(png: str) -> str:
    """A picture in base64 with at most 128 colours: a third of the bytes, and lines stay sharp."""
    with io.BytesIO() as file:
        Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").quantize(128).save(file, "PNG", optimize=True)
        return base64.b64encode(file.getvalue()).decode()


def without(folders: list[str], output: nbformat.NotebookNode) -> None:
    """Takes these folders of this machine out of what a cell printed or shows as text."""
    for holder, key in [(output, "text"), *((output.get("data", {}), kind) for kind in ("text/plain", "text/html"))]:
        for folder in folders if key in holder else ():
            holder[key] = holder[key].replace(f"{folder}/", "")


def run(path: Path, *, timeout_s: int = 600) -> nbformat.NotebookNode:
    """The notebook with the outputs of one run from top to bottom, in an empty folder; raises where a cell does.

    Nothing that differs from run to run without meaning stays in it: times, warnings, numbers of executions.
    """
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        ours = [folder, str(Path(sys.executable).parent)]
        NotebookClient(notebook, timeout=timeout_s, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                without(ours, output)
                if "execution_count" in output:
                    output.execution_count = None
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = small(output.data["image/png"])
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main(names: list[str]) -> int:
    """All, or those named without their ending."""
    for path in [FOLDER / f"{name}.ipynb" for name in names] or sorted(FOLDER.glob("*.ipynb")):
        begun = perf_counter()
        nbformat.write(run(path), path)
        print(f"{path.name}: {perf_counter() - begun:.0f} s, {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
