"""The README says what the code says."""

from __future__ import annotations

import re

import pytest

from ciliary.cortex.parameters import PARAMETERS
from ciliary_tests.loading import load_script

writer = load_script("write_readme_table")
BEGIN, END, main = writer.BEGIN, writer.END, writer.main
parameter_table, with_table = writer.parameter_table, writer.with_table


def test_the_parameter_table_is_in_step(repository):
    page = (repository / "docs" / "stages.md").read_text(encoding="utf-8")
    assert page == with_table(page, parameter_table(PARAMETERS)), "the parameter table is out of date; run make readme"


def test_the_table_has_every_parameter():
    lines = parameter_table(PARAMETERS).splitlines()
    assert len(lines) == 2 + len(PARAMETERS)
    for line, p in zip(lines[2:], PARAMETERS, strict=True):
        assert line.startswith(f"| `{p.name}` | {p.stage} |")
        assert line.count("|") == lines[0].count("|")


def test_every_make_target_it_names_exists(repository):
    readme = (repository / "README.md").read_text(encoding="utf-8")
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\$ )make ([a-z-]+)", readme, re.MULTILINE))
    assert {"accommodate", "test"} <= named
    assert named <= targets


def test_every_local_link_leads_somewhere(repository):
    pages = sorted([*repository.glob("*.md"), *(repository / "docs").glob("*.md")])
    lost = [
        f"{page.name} -> {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not lost


def test_writing_replaces_what_stood_there(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{BEGIN}\nobsolete\n{END}\nbelow\n", encoding="utf-8")
    assert main(readme) == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "obsolete" not in text
    assert all(f"| `{name}` |" in text for name in PARAMETERS.names)
    assert main(readme) == 0
    assert readme.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["no markers", f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}"])
def test_without_its_markers_it_is_left_alone(tmp_path, text, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    assert main(readme) == 1
    assert readme.read_text(encoding="utf-8") == text
    assert "parameters:begin" in capsys.readouterr().err
