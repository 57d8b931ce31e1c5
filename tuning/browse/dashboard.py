"""Studies in optuna-dashboard, which this process serves. An exit code."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from ciliary.cortex.installing import install_extra
from ciliary.tuning.browse.find import print_links
from ciliary.tuning.browse.server import NoServer, free_port
from ciliary.tuning.browse.settings import DEFAULT_HOST, STUDIES_PORT, UiSettings
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED
from ciliary.tuning.cli.stopping import terminable
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.store import masked

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from ciliary.tuning.browse.studies import FilesInPlace

_MOST_LINKS = 8  # of single studies: the page lists them all


def show_studies(settings: UiSettings) -> int:
    """Print the links, and serve till Ctrl-C.

    Returns:
        1 there is nothing to show, or nothing to show it with; 130 stopped.
    """
    try:
        import optuna_dashboard  # noqa: F401
    except ImportError:
        _complain(f"studies are shown by optuna-dashboard, which is not installed: {install_extra('optuna')}")
        return NOTHING
    try:
        title, storage, pictures = kept(settings.storage) if settings.storage else of_session(settings)
        with terminable():
            _serve(settings, title, storage, pictures)
    except (LookupError, NoServer) as error:
        _complain(error.args[0])
        return NOTHING
    except KeyboardInterrupt:
        return STOPPED
    return ALL_WELL


def of_session(settings: UiSettings, root: Path = Path()) -> tuple[str, BaseStorage, FilesInPlace]:
    """The studies of a session, in memory, what to call them, and their figures.

    Raises:
        LookupError: there is no such session, or no episode of it ended well.
    """
    from optuna import load_study
    from optuna.storages import InMemoryStorage
    from optuna_dashboard import save_note

    from ciliary.tuning.browse.studies import LOOKED, FilesInPlace, add_studies, note_of

    place = session_of(settings, root)
    found = [record for record in records.finished(place) if "u" in record["history"]]
    if not found:
        raise LookupError(f"no accommodation in {place} has ended well: there is nothing to show")
    storage, pictures = InMemoryStorage(), FilesInPlace()
    names = add_studies(storage, found, pictures=pictures)
    for name, record in zip(names, found, strict=True):
        save_note(load_study(study_name=name, storage=storage), note_of(record))
    n_looked = sum(record.get("answer") == "integrated" for record in found)
    if n_looked and not settings.is_quiet:
        which = "" if n_looked == len(found) else f"{n_looked} of {len(found)} episodes: "
        search = "for a search: ciliary accommodate photo.jpg --controller tpe"
        _complain(f"{which}{LOOKED[0].lower()}{LOOKED[1:].rstrip('.')}; {search}")
    return f"studies of {place.name}", storage, pictures


def session_of(settings: UiSettings, root: Path = Path()) -> Path:
    """The folder of the session that is meant: the one named, or the one that wrote last.

    Raises:
        LookupError: there is none.
    """
    folders = [Path(settings.address)] if settings.address is not None else sorted((root / "runs").glob("*"))
    found = [place for folder in folders for place in records.sessions_in(folder)]
    found = [place for place in found if settings.session in (None, place.name)]
    if not found:
        what = "no session" if settings.session is None else f"no session {settings.session!r}"
        where = settings.address or f"{root / 'runs'}/*"
        raise LookupError(f"{what} in {where}; make one with: ciliary accommodate photo.jpg --controller tpe")
    return max(found, key=lambda place: (place / records.FILE).stat().st_mtime)


def kept(address: str) -> tuple[str, BaseStorage, None]:
    """The studies of a storage, and what to call them.

    Raises:
        LookupError: it is not there, cannot be opened, or holds none.
    """
    from ciliary.tuning.sessions.study_cache import StorageError, open_storage

    path = Path(address.removeprefix("sqlite:///") if "://" in address else address)
    if ("://" not in address or address.startswith("sqlite:///")) and not path.is_file():
        raise LookupError(f"no storage at {path}; make one with: ciliary accommodate photo.jpg --controller tpe "
                          f"--storage {address}")  # fmt: skip
    try:
        storage = open_storage(address)
        if not storage.get_all_studies():
            raise LookupError(f"{masked(address)} holds no study; looks that are put together leave none")
    except StorageError as error:
        raise LookupError(str(error)) from error
    return f"studies of {masked(address)}", storage, None


def _serve(settings: UiSettings, title: str, storage: BaseStorage, pictures: FilesInPlace | None) -> None:
    from optuna_dashboard import wsgi

    port = free_port(settings.host, settings.port, STUDIES_PORT)
    kind = _ServerV6 if ":" in settings.host else _Server
    with make_server(settings.host, port, wsgi(storage, pictures), kind, _Silent) as server:
        host = DEFAULT_HOST if settings.host in ("0.0.0.0", "::") else settings.host
        print_links(_links(title, storage), f"http://{host}:{port}")
        if settings.host != DEFAULT_HOST:
            _complain(f"whoever reaches {settings.host}:{port} can see the studies, and change notes and names")
        if not settings.is_quiet:
            _complain("Ctrl-C ends it")
        server.serve_forever()


def _links(title: str, storage: BaseStorage) -> dict[str, str]:
    studies = storage.get_all_studies()
    single = {study.study_name: f"dashboard/studies/{study._study_id}" for study in studies}  # noqa: SLF001 -- its pages are known by it
    return {f"{title} ({len(studies)})": "dashboard", **(single if len(single) <= _MOST_LINKS else {})}


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a page that is open does not keep it from ending


class _ServerV6(_Server):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    def log_message(self, *words: Any) -> None:
        """Every request is no news."""


_complain = partial(complain, "ui")
