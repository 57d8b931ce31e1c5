"""Options stand together on a page of help, whatever the command, and each has a place."""

from __future__ import annotations

from typing import get_type_hints

from cyclopts import Parameter

from ciliary.tuning.cli import app, panels


def test_options_stand_in_panels_without_empty_defaults(capsys):
    assert app.main(["accommodate", "--help"]) == 0
    page = capsys.readouterr().out
    titles = [line.strip("╭╮─ \n") for line in page.splitlines() if line.startswith("╭")]
    assert titles == ["Arguments", *panels.PANELS, panels.OTHERS]
    assert "[default: ]" not in page
    rows = [line.split()[1] for line in page.splitlines() if line.startswith("│ --")]
    assert rows.index("--perceiver") < rows.index("--controller") < rows.index("--save") < rows.index("--shard")
    assert len(set(rows)) == len(rows)
    for name in ("labels", "regions", "boundary", "uncertainty"):
        assert f"<stem>.{name}.png" in page


def test_every_option_of_a_panel_is_an_option():
    known = {flag for settings, _ in app.COMMANDS.values() for flag in flags_of(settings)}
    listed = [flag for flags in panels.PANELS.values() for flag in flags]
    assert set(listed) <= known
    assert len(set(listed)) == len(listed)


def flags_of(settings):
    hints = get_type_hints(settings, include_extras=True).values()
    about = [one for hint in hints for one in getattr(hint, "__metadata__", ())]
    return [flag for one in about if isinstance(one, Parameter) for flag in one.name or ()]
