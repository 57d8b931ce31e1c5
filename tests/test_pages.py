"""The pages are as good as what they tell one to type: commands are understood, and programs run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import cyclopts
import pytest

from ciliary.tuning.cli import app
from ciliary.tuning.cli.exit_codes import ALL_WELL
from ciliary_tests.loading import load_script

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md"), *(REPOSITORY / "docs").glob("reference/*.md")]
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
JOBS = {job.partition(":")[2] for _, job in app.COMMANDS.values()}
INLINE = re.compile(r"`((?:\.venv/bin/)?(?:python scripts/\w+\.py|ciliary [a-z]+)[^`]*)`")
NO_COMMAND = {"CHANGELOG.md", "changelog.md", "perceivers.md"}  # history; a test of its own
PLACEHOLDER = re.compile(r" S |[…<>$]|\.\.\.|\b(OUT|DIR|FILE|FOLDER|COMMAND)\b|=[A-Z]+\b|\b[A-Z]/[A-Z]\b|\w\|\w")


def lines_of(text: str) -> Iterator[tuple[str, bool]]:
    """Commands of a page, and whether each is whole: to be typed as it stands."""
    blocks = [body for kind, body in BLOCK.findall(text) if kind in ("", "bash", "sh")]
    for body in blocks:
        for line in body.replace("\\\n", " ").splitlines():
            if re.match(r"(\$ )?(\.venv/bin/)?(python scripts/|ciliary )", line):
                yield line.removeprefix("$ "), True
    yield from ((found.replace("\n", " "), False) for found in INLINE.findall(BLOCK.sub("", text)))


def words_of(line: str) -> list[str] | None:
    """The arguments of a command, its name in front; None where it is a pattern rather than a command."""
    words = shlex.split(line.removeprefix(".venv/bin/"), comments=True)
    if PLACEHOLDER.search(" ".join(words)) or "|" in words or (words[:2] == ["ciliary", "train"] and len(words) == 2):
        return None
    if words[0] == "python":
        return ["script", Path(words[1]).stem, *words[2:]]
    return words


COMMANDS = [
    pytest.param(words, is_whole, id=f"{page.stem}: {' '.join(words)}")
    for page in PAGES
    if page.name not in NO_COMMAND
    for line, is_whole in dict(lines_of(page.read_text(encoding="utf-8"))).items()
    if (words := words_of(line)) is not None
]


@pytest.mark.parametrize(("words", "is_whole"), COMMANDS)
def test_its_commands_are_understood(words, is_whole, monkeypatch, tmp_path, capsys):
    """In the text a command may lack what it needs: it is only named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.settings.json").write_text('{"set": {"n_regions": 6}}')
    main = load_script(words[1]).main if words[0] == "script" else app.main
    if "argv" not in signature(main).parameters:  # a program that is no door
        program = cyclopts.App(default_command=main)
        assert program.parse_args(words[2:], exit_on_error=False, print_error=False)[0] is main
        return
    seen = []
    monkeypatch.setattr(app, "run_job", lambda name, job, settings: seen.append(settings) or ALL_WELL)
    monkeypatch.setattr(app.importlib, "import_module", lambda name: SimpleNamespace(**dict.fromkeys(JOBS)))
    code, said = main(words[1 if words[0] == "ciliary" else 2 :]), capsys.readouterr()
    is_named = not is_whole and said.err.endswith("requires an argument. (see --help)\n")
    assert is_named or code == ALL_WELL, said.err
    assert is_named or seen or "--help" in words or "--install-completion" in words
