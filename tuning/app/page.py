"""The page itself: what NiceGUI is told. One :class:`Tab` a browser tab; tabs share the eye alone."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from nicegui import app, background_tasks, run, ui
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ciliary.tuning.app import browser, export, pictures, state
from ciliary.tuning.app.eye import Eye, Scene
from ciliary.tuning.app.incoming import Incoming, SizeLimit
from ciliary.tuning.app.player import Player
from ciliary.tuning.app.settings import HOST
from ciliary.tuning.app.shown import Shown
from ciliary.tuning.app.sliders import Sliders
from ciliary.tuning.app.words import told
from ciliary.tuning.cli.complain import failure
from ciliary.tuning.sessions.inputs import Input

Images = Mapping[str, tuple[Input, Input]]
_MOST_OWN = 8  # pictures of its own that a tab keeps at hand, each with its stages


def serve(eye: Eye, images: Images, *, host: str, port: int, has_browser: bool) -> None:
    """Serve the page until the process is told to stop."""
    tabs: weakref.WeakSet[Tab] = weakref.WeakSet()

    def page() -> None:
        tab = Tab(eye, images)
        tabs.add(tab)
        tab.build()

    def leave() -> None:
        for tab in tabs:
            tab.leave()

    ui.page("/", title="Ciliary")(page)
    app.on_shutdown(leave)  # else the process would wait for their episodes
    app.add_middleware(SizeLimit)
    if host == HOST:  # a page of elsewhere that calls itself by our address is refused (DNS rebinding)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    ui.run(
        host=host, port=port, show=has_browser, reload=False, show_welcome_message=False, title="Ciliary", dark=None
    )  # dark as the system is


class Tab:
    """What one browser tab shows, and its :class:`~ciliary.tuning.app.state.State`."""

    def __init__(self, eye: Eye, images: Images) -> None:
        self.eye, self.images = eye, images
        self._own: dict[str, Scene] = {}  # what was uploaded here
        self.state: state.State | None = None
        self._rested: state.Step | None = None  # where the sliders stood before a hand moved one
        self._drawn: tuple[Scene, str] | None = None  # the image, and its view, that is shown of the defaults
        self._is_stale = self._is_drawing = self._is_left = False

    # --- layout
    def build(self) -> None:
        """Draw the page, and open the first image."""
        ui.add_css(browser.STYLE)
        self._client = ui.context.client
        self._client.on_delete(self.leave)
        self._incoming = Incoming(on_picture=self._upload, on_settings=self._import, complain=self._complain)
        ui.on("undo", self._go_back)
        with ui.row().classes("w-full items-center gap-2 tools"):
            self._tools()
        self._player = Player(self.eye, on_change=lambda on: self._act.set_enabled(not on), complain=self._complain)
        with ui.element("div").classes("w-full grid grid-cols-1 lg:grid-cols-[minmax(0,1fr)_20rem] gap-4"):
            with ui.column().classes("contents lg:flex w-full gap-2"):  # on a phone: pictures, verdict, sliders, film
                self._shown = Shown(on_view=self._draw, on_side=self._compare)
                self._verdict = ui.label().classes("w-full text-sm panel verdict")
                with ui.element("div").classes("panel filmed order-last lg:order-none") as self._card:
                    self._film = ui.element("img").props('alt="the episode as a film"').classes("film")
            with ui.column().classes("w-full gap-0").style("max-width: 40rem"):
                self._sliders = Sliders(
                    self.eye.table,
                    self.eye.inert,
                    self.eye.defaults,
                    on_move=self._move,
                    on_rest=self._rest,
                    on_default=lambda name: self._set({name: self.eye.defaults[name]}),
                )
        for one in (self._verdict, self._card):
            one.set_visibility(False)
        ui.timer(0, self._choose, once=True)

    def _tools(self) -> None:
        ui.label("Ciliary").classes("text-xl font-bold wordy")
        self._name = ui.select(list(self.images), value=next(iter(self.images)), label="image")
        self._name.props("dense outlined options-dense").classes("min-w-36 grow sm:grow-0")
        self._name.on_value_change(self._choose)
        with _tool("Open …", "image", self._incoming.pick_picture, "outline").props("aria-label='open an image'"):
            ui.tooltip("Or drop one on the page").props("delay=600")
        ui.space()
        self._act = ui.dropdown_button(
            "Accommodate", icon="center_focus_strong", split=True, auto_close=True, color="deep-orange-9"
        )
        self._act.on_click(lambda: self._accommodate(None)).props("no-caps unelevated")
        self._act.classes("kept act")
        with self._act:
            for words, caption, begin in (
                ("from the defaults", "as ciliary accommodate does", lambda: None),
                ("from the sliders", "the looks are taken around them; a search begins there", self._values),
            ):
                with ui.item(on_click=lambda begin=begin: self._accommodate(begin())), ui.item_section():
                    ui.item_label(words)
                    ui.item_label(caption).props("caption")
        with _tool("Undo", "undo", self._go_back) as self._undo:
            ui.tooltip("Ctrl+Z").props("delay=600")
        _tool("Defaults", "restart_alt", self._go_home)
        with _tool("Export", "download"), ui.menu():
            ui.menu_item("Settings (JSON)", lambda: self._save("settings"))
            ui.menu_item("Maps (PNG, NPZ, JSON)", lambda: self._save("maps"))
            self._film_item = ui.menu_item("Film (GIF)", lambda: self._save("film"))
            ui.separator()
            ui.menu_item("Copy the command that makes this percept", lambda: self._copy(export.repeating_line))
            ui.menu_item("Copy the command that accommodates from here", lambda: self._copy(export.command_line))
            ui.separator()
            ui.menu_item("Load settings …", self._incoming.pick_settings)

    # --- images
    async def _choose(self) -> None:
        name = self._name.value
        if self.state is not None and name == self._called:
            return
        if name in self._own:
            scene: Scene | None = self._own[name]
        else:
            item, shown = self.images[name]
            scene = await self._read(item.label, lambda: self.eye.open(item, shown.load()))
        if self._name.value != name:  # another was chosen meanwhile
            return
        if scene is not None:
            self._open(scene, name)
        elif self.state is not None:
            self._name.value = self._called  # that one is still shown

    async def _upload(self, name: str, data: bytes) -> None:
        scene = await self._read(name, lambda: self.eye.open_upload(data, name))
        if scene is not None:
            called = f"{scene.photograph.name} (opened)"
            self._own = {**{k: v for k, v in self._own.items() if k != called}, called: scene}
            while len(self._own) > _MOST_OWN:
                del self._own[next(iter(self._own))]
            self._open(scene, called)
            self._name.set_options([*self.images, *self._own], value=called)

    def _open(self, scene: Scene, called: str) -> None:
        self._player.halt()
        self._called = called
        self._become(state.opened(self.eye, scene))

    async def _read(self, label: str, read: Callable[[], Scene]) -> Scene | None:
        try:
            scene: Scene | None = await run.io_bound(read)
        except Exception as error:  # noqa: BLE001 -- of a file, or of a perceiver of the user's own
            self._complain(failure(label, error))
            return None
        for note in () if scene is None else scene.photograph.notes:
            self._say(f"{label}: {note}")
        return scene

    # --- what a hand does
    async def _import(self, name: str, text: str) -> None:
        try:
            self._set(export.taken_up(text, name, self.eye))
        except (ValueError, KeyError) as error:
            self._complain(failure(name, error))

    def _values(self) -> Mapping[str, float] | None:
        return None if self.state is None else self.state.values

    def _move(self, name: str, value: float) -> None:
        if self.state is not None:
            self._rested = self._rested or self.state.now
            self._become(state.previewed(self.state, self.eye.table, name, value), moving=name)

    def _rest(self) -> None:
        if self.state is not None and self._rested is not None:
            before, self._rested = self._rested, None
            self.state = state.committed(self.state, before)
            self._undo.set_enabled(self.state.can_undo)

    def _set(self, values: Mapping[str, float]) -> None:
        if self.state is not None:
            self._become(state.moved(self.state, self.eye.table, values))

    def _go_back(self) -> None:
        if self.state is not None:
            self._rest()
            self._become(state.undone(self.state))

    def _go_home(self) -> None:
        if self.state is not None:
            self._become(state.reset(self.state, self.eye))

    def _compare(self, is_together: bool) -> None:
        if self.state is not None and is_together != self.state.now.is_together:
            self._become(state.compared(self.state, is_together=is_together))

    async def _accommodate(self, start: Mapping[str, float] | None) -> None:
        if self.state is None:
            return
        scene = self.state.scene
        episode = await self._player.play(scene, start)
        if episode is not None and self.state.scene is scene:
            self._become(state.accommodated(self.state, self.eye, episode))

    def leave(self) -> None:
        """Nobody looks any more: what is being done for this tab is dropped."""
        self._is_left = True
        self._player.halt()

    # --- what is shown
    def _become(self, new: state.State, *, moving: str | None = None) -> None:
        is_new = self.state is None or self.state.episode is not new.episode
        self.state = new
        if moving is None:
            self._rested = None
        self._sliders.show(new.values, idle=self.eye.idle(new.values), but=moving)
        self._undo.set_enabled(new.can_undo)
        episode = new.episode
        self._shown.offer(
            has_looks=episode is not None and episode.together is not None, is_together=new.now.is_together
        )
        if is_new:
            film = None if episode is None else episode.film
            self._verdict.text = "" if episode is None else told(episode)
            self._film.props["src"] = "" if film is None else pictures.address(film, "image/gif")
            self._verdict.set_visibility(episode is not None)
            for one in (self._card, self._film_item):
                one.set_visibility(film is not None)
        self._draw()

    def _draw(self) -> None:
        """Draw what is there now; while something is being drawn, only the latest of what comes waits."""
        self._is_stale = True
        if not self._is_drawing:
            self._is_drawing = True
            background_tasks.create(self._draw_all(), name="draw")

    async def _draw_all(self) -> None:
        try:
            while self._is_stale and self.state is not None and not self._is_left:
                self._is_stale = False
                now, view = self.state, self._shown.view
                drawn = await run.io_bound(pictures.sheet, now, self.eye, view)
                if drawn is None or self._is_left:  # the server is stopping, or the tab was closed
                    break
                if self._drawn is None or self._drawn[0] is not now.scene:
                    self._shown.show_photograph(pictures.photograph(now.scene))
                self._shown.show(drawn, which="now")
                if self._drawn != (now.scene, view):
                    await self._draw_first(now.scene, view)
        except Exception as error:  # noqa: BLE001 -- of a perceiver of the user's own
            self._complain(failure("percept", error))
        finally:
            self._is_drawing = False

    async def _draw_first(self, scene: Scene, view: str) -> None:
        self._drawn = (scene, view)
        assert scene.first is not None
        first = await run.io_bound(pictures.layers, scene, scene.first, view)
        if first is not None and not self._is_left:
            self._shown.show(first, which="first")

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

    def _copy(self, line: Callable[[state.State, Eye], str]) -> None:
        if self.state is not None:
            ui.clipboard.write(words := line(self.state, self.eye))
            self._say(f"copied: {words}")

    def _say(self, line: str, **how: Any) -> None:
        if not self._is_left:
            with self._client:
                ui.notify(line, **how)

    def _complain(self, line: str) -> None:
        self._say(line, type="negative", multi_line=True, timeout=10_000, close_button=True)


def _tool(words: str, icon: str, act: Callable[[], Any] | None = None, look: str = "flat") -> Any:
    button = ui.button(words, icon=icon, on_click=None if act is None else lambda: act())
    return button.props(f"{look} no-caps aria-label={words.split(maxsplit=1)[0].lower()}")
