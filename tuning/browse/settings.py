"""What ``ui`` is asked to do."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from ciliary.tuning.cli.options import PYTHON_ONLY, at_least, option
from ciliary.tuning.cli.settings import Settings

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 5000
STUDIES_PORT = 8080  # optuna-dashboard's own


@dataclass(frozen=True, kw_only=True)
class UiSettings(Settings):
    """Show runs in the browser: starts MLflow on the store of the last session, and prints where to look.

    Without SESSION the newest one: a link to all its episodes, the largest gain first, a link to the session, and where
    two controllers saw one image, a link that compares them. With --studies, Optuna's dashboard instead: a study an
    episode, made of what the session wrote down; no database is needed.
    """

    epilog: ClassVar[str] = """\
store         --store, else MLFLOW_TRACKING_URI, else the newest of runs/*/mlflow.db
studies       --studies: of SESSION, or the newest, in --store DIR, else in runs/*; --storage: those that accommodate
              --storage keeps, while they grow. Both need the extra optuna (see ciliary doctor)
exit code     0 printed · 1 no store, no session in it, or no server · 2 wrong usage · 130 stopped by Ctrl-C or SIGTERM

examples      ciliary ui
              ciliary ui holiday-tpe-seed0 --store runs/holiday
              ciliary ui --no-serve --store http://tracking:5000
              ciliary ui --studies
              ciliary ui --storage sqlite:///study.db
"""

    session: Annotated[str | None, PYTHON_ONLY] = field(default=None, kw_only=False)
    address: Annotated[
        str | None, option("--store", "DIR|URL", "folder of sessions (their --out), or an address as MLflow's")
    ] = None
    host: Annotated[str, option("--host", "NAME", "who may look: this machine alone, or 0.0.0.0")] = DEFAULT_HOST
    port: Annotated[
        int | None,
        option("--port", "N", f"of the server (the first free from {DEFAULT_PORT} or {STUDIES_PORT} on)"),
        at_least(1),
    ] = None
    is_served: Annotated[bool, option("--serve/--no-serve", "", "start the server; else only print the links")] = True
    has_studies: Annotated[bool, option("--studies", "", "episodes of a session as studies, in optuna-dashboard")] = (
        False
    )
    storage: Annotated[
        str | None, option("--storage", "URL|FILE", "studies kept there by accommodate --storage, in optuna-dashboard")
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.storage is not None and (self.has_studies or self.session or self.address):
            raise ValueError("--storage shows all studies that are there: leave SESSION, --studies and --store out")
        if self.shows_studies and not self.is_served:
            raise ValueError("studies are shown by a server that lives as long as this command: leave --no-serve out")
        if self.has_studies and self.address is not None and ":/" in self.address:
            raise ValueError(f"--studies reads what a session wrote: give its folder as --store, got {self.address!r}")

    @property
    def shows_studies(self) -> bool:
        """Whether optuna-dashboard is asked for, in MLflow's place."""
        return self.has_studies or self.storage is not None
