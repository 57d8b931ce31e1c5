"""The programs of the page run as they stand there, and print the numbers that it gives."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_its_programs_run(repository, tmp_path):
    text = (repository / "docs" / "estimator.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == 4
    (tmp_path / "page.py").write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, folds = done.stdout.splitlines()[:2]
    assert f"{float(first):.2f}" in re.findall(r"no label chose: (\S+)", text)
    told = re.search(r"told on two others: ([\d. ]+)", text)
    assert told is not None
    assert [f"{float(one):.2f}" for one in folds.strip("[]").split()] == told[1].split()
    assert (tmp_path / "looks.json").is_file()
