"""What a user names as ``module:object``."""

import re
import sys

import pytest

from ciliary.cortex.loading import load_object, names_object, object_mark


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty working directory that is on nobody's search path; what is imported from it is forgotten again."""
    known = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.parametrize("text", ["mine:Walker", "package.mine:Outer.Inner", "_a:_b"])
def test_form(text):
    assert names_object(text)


@pytest.mark.parametrize(
    "text", ["mine", "mine:", ":Walker", "folder/mine:Walker", r"C:\x\mine.zip", "a b:c", "a:b:c", ""]
)
def test_other_forms(text):
    assert not names_object(text)
    with pytest.raises(ValueError, match=r"controller .*expected module:object"):
        load_object(text, what="controller")


def test_a_file_name_is_answered():
    with pytest.raises(ValueError, match=re.escape("leave the .py out")):
        load_object("folder/mine.py:Walker")


def test_working_directory_counts_and_neighbours_are_found(desk):
    (desk / "neighbour_of_it.py").write_text("VALUE = 3\n")
    (desk / "made_by_a_user.py").write_text(
        "class Outer:\n    class Inner:\n        pass\n\n"
        "def late():\n    import neighbour_of_it\n    return neighbour_of_it.VALUE\n"
    )
    assert load_object("made_by_a_user:Outer.Inner").__name__ == "Inner"
    assert load_object("made_by_a_user:late")() == 3


def test_a_mark_follows_the_source(desk):
    file = desk / "marked_by_a_user.py"
    file.write_text("THING = object()\n")
    first = object_mark("marked_by_a_user:THING")
    assert first.startswith("marked_by_a_user:THING ")
    assert object_mark("marked_by_a_user:THING") == first
    file.write_text("THING = object()  # another\n")
    assert object_mark("marked_by_a_user:THING") != first
    with pytest.raises(ValueError, match="objective 'marked_by_a_user:NONE'"):
        object_mark("marked_by_a_user:NONE", what="objective")


def test_what_is_installed_is_not_shadowed(desk):
    sys.modules.pop("wave", None)
    (desk / "wave.py").write_text("raise RuntimeError('mine')\n")
    assert load_object("wave:open").__module__ == "wave"
    assert sys.path[-1] == str(desk)


def test_no_such_module(desk):
    with pytest.raises(ValueError, match=f"controller 'nowhere_at_all:X': found no module .*{re.escape(str(desk))}"):
        load_object("nowhere_at_all:X", what="controller")
    (desk / "flat_one.py").write_text("")
    with pytest.raises(ValueError, match=r"found no module 'flat_one\.sub'"):
        load_object("flat_one.sub:X")


def test_no_such_object(desk):
    (desk / "holds_other.py").write_text("Walker = Runner = 1\n_hidden = 2\n")
    with pytest.raises(ValueError, match=r"holds_other.py\) has no 'Swimmer'; it has Walker, Runner$"):
        load_object("holds_other:Swimmer", what="stage")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "import nothing_like_this\n",
            "ModuleNotFoundError: No module named 'nothing_like_this'.*broken_one.py, line 1",
        ),
        ("\nx = 1 / 0\n", "ZeroDivisionError.*broken_one.py, line 2"),
        ("def f(:\n", "SyntaxError.*broken_one.py, line 1"),
    ],
)
def test_a_module_that_fails_says_where(desk, text, says):
    (desk / "broken_one.py").write_text(text)
    with pytest.raises(ValueError, match=f"fails while it is imported \\({says}") as caught:
        load_object("broken_one:X")
    assert caught.value.__cause__ is not None
