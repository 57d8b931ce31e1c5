"""What a project says of itself beside its code is well formed, and agrees with pyproject.toml and the Makefile."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VERSION = r"\d+\.\d+\.\d+"
#: Keys of citation-file-format.github.io, version 1.2.0, that a software's file may have; the first four it must.
CITATION_KEYS = {
    *("authors", "cff-version", "message", "title"),
    *("abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license", "license-url"),
    *("preferred-citation", "references", "repository", "repository-artifact", "repository-code", "type", "url"),
    "version",
}
ENTITY_KEYS = {
    *("name", "address", "alias", "city", "country", "date-end", "date-start", "email", "fax", "location", "orcid"),
    *("post-code", "region", "tel", "website"),
}


@pytest.fixture(scope="module")
def project(repository) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def make_targets(repository: Path) -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_the_citation_is_one_and_of_this_version(repository, project):
    page = read_yaml(repository / "CITATION.cff")
    assert {"authors", "cff-version", "message", "title"} <= set(page) <= CITATION_KEYS
    assert (page["cff-version"], page["type"]) == ("1.2.0", "software")
    assert all("name" in one and set(one) <= ENTITY_KEYS for one in page["authors"])
    assert len(set(page["keywords"])) == len(page["keywords"])
    assert (page["version"], page["license"]) == (project["version"], project["license"])
    assert [one["name"] for one in page["authors"]] == [one["name"] for one in project["authors"]]


def test_the_changelog_tells_this_version_and_those_before_in_order(repository, project):
    text = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## .*", text, re.MULTILINE)[0] == "## [Unreleased]"
    rows = re.findall(rf"^## \[({VERSION})\] - (\d{{4}}-\d\d-\d\d)$", text, re.MULTILINE)
    assert len(rows) == len(re.findall(r"^## ", text, re.MULTILINE)) - 1
    numbers = [tuple(map(int, version.split("."))) for version, _ in rows]
    assert numbers == sorted(numbers, reverse=True)
    assert [day for _, day in rows] == sorted((day for _, day in rows), reverse=True)
    assert rows[0][0] == project["version"]
    kinds = set(re.findall(r"^### (.*)", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def instructions(text: str) -> list[tuple[str, str]]:
    """``(FROM, python:3.11 AS build)`` and so on."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def test_the_image_has_a_pinned_base_no_root_and_the_command_at_its_door(repository):
    rows = instructions((repository / "Dockerfile").read_text(encoding="utf-8"))
    bases = [rest.split()[0] for word, rest in rows if word == "FROM"]
    assert bases
    assert all(re.fullmatch(rf"python:{VERSION}-slim-\w+(@sha256:[0-9a-f]{{64}})?", base) for base in bases)
    last = rows[max(i for i, (word, _) in enumerate(rows) if word == "FROM") :]
    users = [rest for word, rest in last if word == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    after = [word for word, _ in last[[word for word, _ in last].index("USER") :]]
    assert "RUN" not in after  # all is installed by root, and nothing runs as it
    assert ("ENTRYPOINT", '["ciliary"]') in last
    assert not [word for word, _ in rows if word == "ADD"]


def test_the_image_is_built_of_what_the_wheel_is_made_of(repository):
    lines = (repository / ".dockerignore").read_text(encoding="utf-8").split()
    tool = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    rooms = {folder for name, folder in tool["package-dir"].items() if name != "ciliary"}  # it lies in one of them
    needed = {*rooms, "pyproject.toml", "README.md", "LICENSE"}
    assert "*" in lines
    assert needed == {line[1:] for line in lines if line.startswith("!")}


@pytest.mark.slow
def test_the_image_is_built_and_is_well(repository):
    engine = next((one for one in ("docker", "podman") if shutil.which(one)), "")
    if not engine or subprocess.run([engine, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no engine that builds images")
    subprocess.run([engine, "build", "-t", "ciliary-test", str(repository)], check=True, capture_output=True)
    done = subprocess.run([engine, "run", "--rm", "ciliary-test", "doctor"], check=False, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_forms_of_issues_ask_something(repository, name):
    form = read_yaml(repository / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert {"name", "description", "body"} <= set(form)
    kinds = [part["type"] for part in form["body"]]
    assert set(kinds) <= {"markdown", "textarea", "input", "dropdown", "checkboxes"}
    identifiers = [part["id"] for part in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    assert all(part["attributes"]["label"] for part in form["body"])


def test_a_release_is_tested_on_every_python_that_may_be_used(repository, project):
    flow = read_yaml(repository / ".github" / "workflows" / "release.yml")
    triggers = flow[True]  # YAML 1.1 takes the key `on` for a truth
    assert triggers["push"] == {"tags": ["v*"]}  # no branch: a release, not every run
    pythons = flow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.10", "3.11", "3.12", "3.13"]
    assert project["requires-python"] == f">={pythons[0]}"
    assert flow["jobs"]["floors"]["steps"][1]["with"]["python-version"] == pythons[0]
    commands = [step["run"] for job in flow["jobs"].values() for step in job["steps"] if "run" in step]
    named = {target for command in commands for target in re.findall(r"make ([a-z-]+)", command)}
    assert {"test", "test-floors", "image"} <= named <= make_targets(repository)


def test_what_runs_before_a_commit_is_what_make_check_runs(repository):
    config = read_yaml(repository / ".pre-commit-config.yaml")
    local = next(repo for repo in config["repos"] if repo["repo"] == "local")["hooks"]
    commands = [shlex.split(hook["entry"]) for hook in local]
    assert [words[3] for words in commands if words[1:3] == ["-m", "ruff"]] == ["check", "format"]
    made = [words[-1] for words in commands if words[0] == "make"]
    assert made == ["types"]
    assert set(made) <= make_targets(repository)
    assert all("rev" in repo for repo in config["repos"] if repo["repo"] != "local")


def test_every_floor_is_said(project):
    """Without a lowest version there is nothing that `make test-floors` could try."""
    wanted = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    assert not [line for line in wanted if not re.search(r">=|==", line) and not line.startswith("ciliary[")]
