"""What ``ui`` is asked to do."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from ciliary.tuning.cli.options import PYTHON_ONLY, at_least, option
from ciliary.tuning.cli.settings import Settings

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 5000


@dataclass(frozen=True, kw_only=True)
class UiSettings(Settings):
    """Show runs in the browser: starts MLflow on the store of the last session, and prints where to look.

    Without SESSION the newest one: a link to all its episodes, the largest gain first, a link to the session, and where
    two controllers saw one image, a link that compares them.
    """

    epilog: ClassVar[str] = """\
store         --store, else MLFLOW_TRACKING_URI, else the newest of runs/*/mlflow.db
exit code     0 printed · 1 no store, no session in it, or no server · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM

examples      ciliary ui
              ciliary ui tpe-seed0 --store runs/holiday
              ciliary ui --no-serve --store http://tracking:5000
"""

    session: Annotated[str | None, PYTHON_ONLY] = field(default=None, kw_only=False)
    address: Annotated[
        str | None, option("--store", "DIR|URL", "folder of sessions (their --out), or an address as MLflow's")
    ] = None
    host: Annotated[str, option("--host", "NAME", "who may look: this machine alone, or 0.0.0.0")] = DEFAULT_HOST
    port: Annotated[
        int | None, option("--port", "N", f"of the server (the first free one from {DEFAULT_PORT} on)"), at_least(1)
    ] = None
    is_served: Annotated[bool, option("--serve/--no-serve", "", "start the server; else only print the links")] = True
