"""The page itself: what NiceGUI is told. One :class:`Tab` a browser tab; tabs share the eye alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from nicegui import app, run, ui
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ciliary.agents.episode import Progress
from ciliary.tuning.app import export, pictures, state
from ciliary.tuning.app.eye import Eye, Scene
from ciliary.tuning.app.settings import HOST
from ciliary.tuning.app.sliders import Sliders
from ciliary.tuning.app.words import told
from ciliary.tuning.cli.complain import failure
from ciliary.tuning.sessions.inputs import Input

Images = Mapping[str, tuple[Input, Input]]
_MOST_UPLOAD_BYTES = 100_000_000
_TOO_LARGE = f"larger than {_MOST_UPLOAD_BYTES // 10**6} MB"
_STYLE = """
body { background: #fafafa; color: #22262b }
.nicegui-content { padding: 0.75rem }
@media (max-width: 640px) {
  .wordy { display: none }
  .tools .q-btn:not(.kept) .q-btn__content { font-size: 0 }
  .tools .q-btn:not(.kept) .q-icon { font-size: 24px; margin: 0 }
}
.shown img { border-radius: 4px }
.q-field__label, .caption { color: #5c646d }
.watched { position: sticky; top: 0; z-index: 5; background: #fafafa }
"""
_BAR = 'color=deep-orange-8 aria-label="progress of the episode"'


class StoppedByHand(Exception):
    """The episode is not wanted any more."""


def serve(eye: Eye, images: Images, *, host: str, port: int, has_browser: bool) -> None:
    """Serve the page until the process is told to stop."""

    def page() -> None:
        Tab(eye, images).build()

    ui.page("/", title="Ciliary")(page)
    if host == HOST:  # a page of elsewhere that calls itself by our address is refused (DNS rebinding)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    ui.run(host=host, port=port, show=has_browser, reload=False, show_welcome_message=False, title="Ciliary")


class Tab:
    """What one browser tab shows, and its :class:`~ciliary.tuning.app.state.State`."""

    def __init__(self, eye: Eye, images: Images) -> None:
        self.eye, self.images = eye, images
        self._own: dict[str, Scene] = {}  # what was uploaded here
        self.state: state.State | None = None
        self._rested: state.Step | None = None  # where the sliders stood before a hand moved one
        self._is_stale = self._is_drawing = False
        self._stop: threading.Event | None = None
        self._progress = (0, 1)

    # --- layout
    def build(self) -> None:
        """Draw the page, and open the first image."""
        ui.add_css(_STYLE)
        ui.colors(primary="#4a545e")
        ui.context.client.on_delete(self._leave)
        with ui.row().classes("w-full items-center gap-2 tools"):
            ui.label("Ciliary").classes("text-xl font-bold wordy")
            self._name = ui.select(list(self.images), value=next(iter(self.images)), label="image")
            self._name.props("dense outlined options-dense").classes("min-w-36 grow sm:grow-0")
            self._name.on_value_change(self._choose)
            self._load(".json,application/json", self._import, "hidden-settings")
            upload = self._load("image/*", self._upload, "hidden-image")
            ui.button("Open …", icon="image", on_click=lambda: upload.run_method("pickFiles")).props(
                "outline no-caps aria-label='open an image'"
            )
            ui.space()
            self._act = ui.button("Accommodate", icon="center_focus_strong", on_click=self._accommodate)
            self._act.props("no-caps unelevated color=deep-orange-8").classes("kept")
            self._undo = ui.button("Undo", icon="undo", on_click=self._go_back).props("flat no-caps aria-label=undo")
            self._reset = ui.button("Defaults", icon="restart_alt", on_click=self._go_home).props(
                "flat no-caps aria-label=defaults"
            )
            self._menu()
        with ui.row().classes("w-full items-center no-wrap gap-2") as self._running:
            self._bar = ui.linear_progress(0, show_value=False, size="8px").props(_BAR)
            self._count = ui.label().classes("text-sm whitespace-nowrap")
            ui.button("Stop", on_click=self._halt).props("flat dense no-caps")
        self._running.set_visibility(False)
        with ui.element("div").classes("w-full grid grid-cols-1 lg:grid-cols-[minmax(0,1fr)_20rem] gap-4"):
            with ui.column().classes("contents lg:flex w-full gap-2"):  # on a phone: pictures, sliders, episode
                self._pictures()
            with ui.column().classes("w-full gap-0").style("max-width: 40rem"):
                self._sliders = Sliders(
                    self.eye.table,
                    self.eye.inert,
                    self.eye.defaults,
                    on_move=self._move,
                    on_rest=self._rest,
                    on_default=lambda name: self._set({name: self.eye.defaults[name]}),
                )
        self._timer = ui.timer(0.2, self._tick, active=False)
        ui.timer(0, self._choose, once=True)

    def _menu(self) -> None:
        with ui.button("Export", icon="download").props("flat no-caps aria-label=export"), ui.menu():
            ui.menu_item("Settings (JSON)", lambda: self._save("settings"))
            ui.menu_item("Maps (PNG, NPZ, JSON)", lambda: self._save("maps"))
            self._film_item = ui.menu_item("Film (GIF)", lambda: self._save("film"))
            ui.separator()
            ui.menu_item("Copy as a command", self._copy)
            ui.menu_item("Load settings …", lambda: self._settings_upload.run_method("pickFiles"))

    def _load(self, accept: str, act: Callable[[Any], Any], mark: str) -> Any:
        upload = ui.upload(on_upload=act, auto_upload=True, max_file_size=_MOST_UPLOAD_BYTES)
        upload.on("rejected", lambda: self._complain(f"{_TOO_LARGE}, or no {accept}"))
        upload.props(f'accept="{accept}"').classes(f"hidden {mark}")
        if accept.endswith("json"):
            self._settings_upload = upload
        return upload

    def _pictures(self) -> None:
        with ui.element("div").classes("watched w-full grid grid-cols-2 gap-2 py-1"):
            self._seen, self._percept = (
                ui.image().props(f'fit=contain no-spinner no-transition alt="{alt}"').classes(f"shown w-full {mark}")
                for alt, mark in (("the image with the borders of the regions", "seen"), ("the percept", "percept"))
            )
        with ui.row().classes("w-full items-center gap-x-4 gap-y-1"):
            self._has_outlines = ui.switch("borders", value=True, on_change=self._redraw).props("dense")
            self._view = ui.toggle(list(pictures.VIEWS), value="regions", on_change=self._redraw)
            self._view.props("dense no-caps unelevated toggle-color=blue-grey-7")
            self._side = ui.toggle({True: "looks together", False: "this setting"}, on_change=self._compare)
            self._side.props("dense no-caps unelevated toggle-color=blue-grey-7")
        self._words = ui.label().classes("text-sm caption words")
        with ui.card().classes("w-full order-last lg:order-none").props("flat bordered") as self._card:
            self._verdict = ui.label().classes("text-sm verdict")
            self._film = ui.image().props("fit=contain no-spinner").classes("w-full film").style("max-width: 640px")
        self._card.set_visibility(False)

    # --- what a hand does
    async def _choose(self) -> None:
        name = self._name.value
        if name in self._own:
            self._halt()
            self._become(state.opened(self.eye, self._own[name]))
            return
        item, shown = self.images[name]
        scene = await self._read(item.label, lambda: self.eye.open(item, shown.load()))
        if scene is not None and self._name.value == name:  # nobody chose another meanwhile
            self._become(state.opened(self.eye, scene))

    async def _upload(self, event: Any) -> None:
        name = event.file.name
        if event.file.size() > _MOST_UPLOAD_BYTES:  # the browser was told, but need not listen
            self._complain(f"{name}: {_TOO_LARGE}")
        else:
            data = await event.file.read()
            scene = await self._read(name, lambda: self.eye.open_upload(data, name))
            if scene is not None:
                called = f"{scene.photograph.name} (opened)"
                self._own[called] = scene
                self._name.set_options([*self.images, *self._own], value=called)
                await self._choose()
        event.sender.reset()

    async def _read(self, label: str, read: Callable[[], Scene]) -> Scene | None:
        self._halt()
        try:
            scene: Scene | None = await run.io_bound(read)
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            self._complain(failure(label, error))
            return None
        for note in () if scene is None else scene.photograph.notes:
            ui.notify(f"{label}: {note}")
        return scene

    async def _import(self, event: Any) -> None:
        name = event.file.name
        try:
            self._set(export.taken_up(await event.file.text(), name, self.eye))
        except (ValueError, KeyError) as error:
            self._complain(failure(name, error))
        event.sender.reset()

    def _move(self, name: str, value: float) -> None:
        if self.state is not None:
            self._rested = self._rested or self.state.now
            self._become(state.previewed(self.state, self.eye.table, name, value), moving=name)

    def _rest(self) -> None:
        if self.state is not None and self._rested is not None:
            before, self._rested = self._rested, None
            self._become(state.committed(self.state, before))

    def _set(self, values: Mapping[str, float]) -> None:
        if self.state is not None:
            self._become(state.moved(self.state, self.eye.table, values))

    def _go_back(self) -> None:
        if self.state is not None:
            self._become(state.undone(self.state))

    def _go_home(self) -> None:
        if self.state is not None:
            self._become(state.reset(self.state, self.eye))

    def _compare(self) -> None:
        if self.state is not None and self._side.value is not None and self._side.value != self.state.now.is_together:
            self._become(state.compared(self.state, is_together=self._side.value))

    # --- an episode
    async def _accommodate(self) -> None:
        if self.state is None or self._stop is not None:
            return
        scene, stop = self.state.scene, threading.Event()
        self._stop, self._progress = stop, (0, self.eye.settings.n_trials)
        self._watch()

        def note(progress: Progress) -> None:
            self._progress = (progress.n_done, progress.n_trials)
            if stop.is_set():
                raise StoppedByHand

        try:
            episode = await run.io_bound(self.eye.accommodate, scene, note)
            if episode is not None and self.state.scene is scene and not stop.is_set():
                self._become(state.accommodated(self.state, self.eye, episode))
        except StoppedByHand:
            ui.notify("stopped; nothing was changed")
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            self._complain(failure(scene.photograph.name, error))
        finally:
            self._stop = None
            self._watch()

    def _halt(self) -> None:
        if self._stop is not None:
            self._stop.set()

    def _leave(self) -> None:
        self._halt()

    def _watch(self) -> None:
        is_running = self._stop is not None
        self._running.set_visibility(is_running)
        self._act.set_enabled(not is_running)
        self._timer.active = is_running
        self._tick()

    def _tick(self) -> None:
        n_done, n_all = self._progress
        self._bar.value = n_done / n_all
        self._count.text = f"{n_done} of at most {n_all} trials" if n_done else "measuring the defaults"

    # --- what is shown
    def _become(self, new: state.State, *, moving: str | None = None) -> None:
        self.state = new
        if moving is None:
            self._rested = None
        self._sliders.show(new.values, idle=self.eye.idle(new.values), but=moving)
        self._undo.set_enabled(new.can_undo)
        has_looks = new.episode is not None and new.episode.together is not None
        self._side.set_visibility(has_looks)
        self._side.value = new.now.is_together
        self._card.set_visibility(new.episode is not None)
        self._film_item.set_visibility(new.episode is not None and new.episode.film is not None)
        if new.episode is not None:
            self._verdict.text = told(new.episode)
            film = new.episode.film
            self._film.set_visibility(film is not None)
            source = "" if film is None else pictures.address(film, "image/gif")
            if self._film.source != source:
                self._film.set_source(source)
        ui.timer(0, self._redraw, once=True)

    async def _redraw(self) -> None:
        """Draw what is there now; while something is being drawn, only the latest of what comes waits."""
        self._is_stale = True
        if self._is_drawing:
            return
        self._is_drawing = True
        try:
            while self._is_stale and self.state is not None:
                self._is_stale = False
                how = {"has_borders": self._has_outlines.value}
                drawn = await run.io_bound(pictures.sheet, self.state, self.eye, self._view.value, **how)
                if drawn is not None:
                    self._percept.set_source(drawn.percept)
                    self._seen.set_source(drawn.image)
                    self._words.text = drawn.words
        except (ValueError, RuntimeError, MemoryError) as error:
            self._complain(failure("percept", error))
        finally:
            self._is_drawing = False

    async def _save(self, what: str) -> None:
        if self.state is None:
            return
        name = self.state.scene.photograph.name
        if what == "settings":
            ui.download.content(export.settings_json(self.state, self.eye), f"{name}.settings.json")
        elif what == "maps":
            if archive := await run.io_bound(export.maps_zip, self.state, self.eye):  # None: the server is stopping
                ui.download.content(archive, f"{name}.maps.zip")
        elif self.state.episode is not None and self.state.episode.film is not None:
            ui.download.content(self.state.episode.film, f"{name}.gif")

    def _copy(self) -> None:
        if self.state is not None:
            ui.clipboard.write(words := export.command_line(self.state, self.eye))
            ui.notify(f"copied: {words}")

    def _complain(self, line: str) -> None:
        ui.notify(line, type="negative", multi_line=True, timeout=10_000, close_button=True)
