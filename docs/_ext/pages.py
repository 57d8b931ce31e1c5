"""The tree of pages, and what pages end with that the code says.

Pages are plain Markdown that also reads on GitHub, so the tree of pages stands here and not in them. A page that no
section names is put under "How-to": whoever adds one need do nothing, and none is left out.
"""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parents[1]
ROOT = "index"
REST = "How-to"
INCLUDED = re.compile(r"```\{include\} \.\./([A-Z_]+\.md)\n```")
PICTURE = re.compile(r"!\[([^]]+)\]\(([^)]+)\)")

#: Sections of the sidebar and their pages in order; a name ending in ``*`` stands for all that match.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Start": ("start", "gallery", "faq", "peers"),
    "Tutorials": (
        "tutorials/index",
        "tutorials/own_photos",
        "tutorials/own_segmenter",
        "tutorials/own_calibration",
        "tutorials/train_a_policy",
        "tutorials/stable_baselines3",
        "tutorials/optuna_sampler",
        "tutorials/eye",
        "tutorials/*",
    ),
    REST: ("loop", "integration", "perceivers", "objectives", "controllers", "environments", "eye", "neurons"),
    "Reference": ("reference/index", "stages", "inherited", "learned", "reference/*"),
    "Results": ("reaches", "results", "race", "race_seeds", "race_raw", "benchmark", "scale"),
    "History of claims": ("history",),
    "Project": ("contributing", "releasing", "code_of_conduct", "security", "changelog"),
}

#: What the sidebar calls pages whose own titles are alike.
CALLED = {
    "race": "Race of controllers",
    "race_seeds": "Race of controllers, by seeds",
    "race_raw": "Race of controllers, raw objective",
    "tutorials/index": "All tutorials",
    "tutorials/eye": "Gaze, lens and pupil",
    "reference/index": "All of the reference",
}


def pages() -> set[str]:
    """Names of all pages, without their endings."""
    files = (path for kind in ("*.md", "*.ipynb") for path in HERE.rglob(kind))
    names = {path.relative_to(HERE).with_suffix("").as_posix() for path in files}
    return {n for n in names if n != ROOT and not n.endswith("_reading") and ".ipynb_checkpoints" not in n}


def tree() -> dict[str, list[str]]:
    """Each section's pages that exist; every page stands in exactly one."""
    left, placed = pages(), {}
    named = {name for names in SECTIONS.values() for name in names if not name.endswith("*")}
    for title, names in SECTIONS.items():
        placed[title] = []
        for name in names:
            prefix = name.removesuffix("*")
            found = {n for n in left - named if n.startswith(prefix)} if name != prefix else {name} & left
            placed[title] += sorted(found)
            left -= found
    placed[REST] += sorted(left)
    return {title: names for title, names in placed.items() if names}


def toctrees() -> str:
    """The sidebar, to be read at the end of the first page."""
    entries = {
        title: "\n".join(f"{CALLED[name]} <{name}>" if name in CALLED else name for name in names)
        for title, names in tree().items()
    }
    return "\n".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{names}\n```" for title, names in entries.items()
    )


def help_pages() -> str:
    """What ``--help`` of every command prints, to be read at the end of the page of commands."""
    from ciliary.tuning.cli.app import COMMANDS, main

    texts = []
    for command in COMMANDS:
        with redirect_stdout(StringIO()) as printed:
            main([*command.split(), "--help"])
        texts.append(f"\n## ciliary {command}\n\n```text\n{printed.getvalue().strip()}\n```\n")
    return "".join(texts)


def figures() -> str:
    """Every picture of the other pages with its words and its page, to be read at the end of the gallery."""
    texts = ["\n## On the other pages\n"]
    for page in sorted(HERE.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if page.stem in ("index", "gallery") or page.stem.startswith("race") or page.stem.endswith("_reading"):
            continue
        title = text.partition("\n")[0].lstrip("# ")
        texts += [f"![{alt}]({file})\n\n{alt}: [{title}]({page.name})\n" for alt, file in PICTURE.findall(text)]
    return "\n".join(texts)


#: Pages that end with what the code says.
MADE = {ROOT: toctrees, "gallery": figures, "reference/commands": help_pages}


def with_root(text: str) -> str:
    """A page that includes a file of the project's root, with that file's links leading to pages of the site."""
    found = INCLUDED.fullmatch(text.strip())
    if found is None:
        return text
    own = (HERE.parent / found[1]).read_text(encoding="utf-8")
    own = re.sub(r"\]\(([A-Z_]+)\.md", lambda link: f"]({link[1].lower()}.md", own)
    return own.replace("](docs/", "](")


def _complete(_: Sphinx, name: str, source: list[str]) -> None:
    source[0] = with_root(source[0])
    if name in MADE:
        source[0] += MADE[name]()


def setup(app: Sphinx) -> dict[str, bool]:
    """Completes pages as they are read."""
    app.connect("source-read", _complete)
    return {"parallel_read_safe": True}
