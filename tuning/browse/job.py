"""A store in, its links out, and the server behind them. An exit code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ciliary.tuning.browse.dashboard import show_studies
from ciliary.tuning.browse.find import links_of, print_links
from ciliary.tuning.browse.server import NoServer, Server, free_port
from ciliary.tuning.browse.settings import DEFAULT_HOST, DEFAULT_PORT, UiSettings
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED
from ciliary.tuning.cli.stopping import terminable
from ciliary.tuning.runs.store import StoreError, look_into, masked, tracking_uri
from ciliary.tuning.sessions.settings import DEFAULT_OUT

_SCHEMES = ("http://", "https://")


def run(settings: UiSettings) -> int:
    """Print the links, and serve till Ctrl-C.

    Returns:
        0 printed, 1 there is nothing to show or no server, 130 stopped.
    """
    if settings.shows_studies:
        return show_studies(settings)
    uri = store_of(settings.address)
    try:
        client = look_into(uri)
        links = links_of(client, settings.session)
    except LookupError as error:
        complain("ui", f"{masked(uri)}: {error.args[0]}")
        return NOTHING
    except StoreError as error:
        complain("ui", error)
        return NOTHING
    if uri.startswith(_SCHEMES):  # somebody serves it already
        print_links(links, masked(uri))
        return ALL_WELL
    if not settings.is_served:
        print_links(links, f"http://{DEFAULT_HOST}:{settings.port or DEFAULT_PORT}")
        return ALL_WELL
    try:
        with terminable():
            _serve(settings, uri, links)
    except NoServer as error:
        complain("ui", error)
        return NOTHING
    except KeyboardInterrupt:
        return STOPPED
    return ALL_WELL


def _serve(settings: UiSettings, uri: str, links: Mapping[str, str]) -> None:
    port = free_port(settings.host, settings.port, DEFAULT_PORT)
    with Server(uri, settings.host, port) as server:
        if not settings.is_quiet:
            complain("ui", f"starting MLflow on {masked(uri)} at {server.address} (some seconds)")
        server.wait_ready()
        print_links(links, server.address)
        if not settings.is_quiet:
            complain("ui", "Ctrl-C ends it")
        server.wait_end()


def store_of(address: str | None, root: Path = Path()) -> str:
    """The address of the store that is meant.

    Args:
        address: a folder of sessions, or an address as MLflow knows it; None for the last session's.
        root: where commands are given, below which ``runs/`` is sought.
    """
    if address is not None:
        return address if ":/" in address else _beside(Path(address))
    if "MLFLOW_TRACKING_URI" in os.environ:
        return tracking_uri(root / DEFAULT_OUT)
    found = sorted(root.glob("runs/*/mlflow.db"), key=lambda path: path.stat().st_mtime)
    return _beside(found[-1] if found else root / DEFAULT_OUT)


def _beside(place: Path) -> str:
    """The store of a folder, whatever the environment says; or of a database, or of a session in that folder."""
    if place.suffix != ".db":
        place = next((one for one in (place, place.parent) if (one / "mlflow.db").is_file()), place) / "mlflow.db"
    return f"sqlite:///{place.resolve().as_posix()}"
