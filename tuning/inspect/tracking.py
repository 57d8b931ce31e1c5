"""What was drawn or measured, kept in the tracking store too: ``look --track``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ciliary.tuning.inspect.settings import LookSettings
from ciliary.tuning.runs.run import Run
from ciliary.tuning.runs.secrets import masked
from ciliary.tuning.runs.store import LOOKING, open_store


def track(settings: LookSettings, files: Iterable[Path]) -> str:
    """One run with all files as artifacts, in folders as they lie in OUT; the command that shows it.

    Raises:
        StoreError: the store cannot be opened.
    """
    store = open_store(settings.out, experiment=LOOKING)
    params = {name: masked(str(value)) for name, value in settings.values().items() if name != "images"}
    with Run.begin(store, name="look", kind="look", params=params) as run:
        for path in files:
            folder = path.parent.relative_to(settings.out)
            run.keep(path, "" if folder == Path() else folder.as_posix(), is_linked=True)
    return store.command
