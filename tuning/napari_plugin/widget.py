"""The panel at work: what a hand does becomes a desk, and what the desk sees becomes layers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils import progress
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ciliary.tuning.cli.complain import failure
from ciliary.tuning.napari_plugin import home, layers
from ciliary.tuning.napari_plugin.asked import Asked
from ciliary.tuning.napari_plugin.latest import Job, Latest
from ciliary.tuning.napari_plugin.mesa import leave_triton_out
from ciliary.tuning.napari_plugin.panel import Panel, scrolled
from ciliary.tuning.napari_plugin.sliders import Sliders

if TYPE_CHECKING:  # it brings torch, which a thread is to wait for
    from ciliary.tuning.app.state import State, Step
    from ciliary.tuning.napari_plugin.desk import Desk, Maps, Start


class StoppedByHand(Exception):
    """The episode is not wanted any more."""


class AccommodateWidget(QWidget):
    """Look at an image layer with a perceiver, live, and accommodate it.

    Args:
        napari_viewer: a viewer, or its model.
        asked: what the panel begins with.
    """

    def __init__(self, napari_viewer: Any, asked: Asked | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.panel = Panel(Asked() if asked is None else asked)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scrolled(self.panel))  # of a low window nothing is squeezed
        self.desk: Desk | None = None
        self._last: Desk | None = None  # the desk before, whose values and perceiver may be taken up
        self._image: Any = None  # the layer that the desk's source is of
        self._sliders: Sliders | None = None
        self._rested: Step | None = None  # where the sliders stood before a hand moved one
        self._seeing, self._playing = Latest(self, self._tell), Latest(self, self._tell)
        self._stop = threading.Event()
        self._progress = (0, 1)
        self._bar: Any = None  # napari's
        self._tick = QTimer(self)
        self._tick.setInterval(100)
        self._tick.timeout.connect(self._count)
        self._settle = QTimer(self)  # who runs through a stack is not followed at each step
        self._settle.setSingleShot(True)
        self._settle.setInterval(150)
        self._settle.timeout.connect(self.look)
        self._connect()
        self._list_images()
        if not self.panel.image.count():
            self.look()

    def _connect(self) -> None:
        panel = self.panel
        panel.image.activated.connect(lambda _: self.look())
        panel.who.currentIndexChanged.connect(lambda _: self.look())
        panel.own.returnPressed.connect(lambda: self.look(reads_anew=True))
        panel.browse.clicked.connect(lambda: self._browse())
        panel.anew.clicked.connect(lambda: self.look(reads_anew=True))
        panel.size_px.valueChanged.connect(lambda _: self.look())
        panel.way.currentIndexChanged.connect(lambda _: self.look())
        panel.is_shown.toggled.connect(lambda _: self.look())
        panel.boundary.toggled.connect(lambda _: self._see())
        panel.act.clicked.connect(lambda: self.accommodate())
        panel.stop.clicked.connect(lambda: self.halt())
        panel.together.clicked.connect(self._compare)
        panel.undo.clicked.connect(lambda: self._change(lambda s, desk: _states().undone(s)))
        panel.reset.clicked.connect(lambda: self._change(lambda s, desk: _states().reset(s, desk.seer)))
        panel.save.clicked.connect(lambda: home.save(self))
        panel.load.clicked.connect(lambda: home.load(self))
        panel.copy.clicked.connect(lambda: home.copy(self))
        held, dims = self._viewer.layers.events, self._viewer.dims.events
        told = [(held.inserted, self._list_images), (held.removed, self._list_images)]
        told += [(dims.current_step, self._turn), (dims.order, self._turn)]
        for event, act in told:
            event.connect(act)
        self.destroyed.connect(partial(_leave, told, self._stop))

    # --- what it is at
    @property
    def state(self) -> State | None:
        """Values, steps before, and the episode; None while no image is open."""
        return None if self.desk is None else self.desk.state

    @property
    def values(self) -> dict[str, float]:
        """The parameters, physical, by name; empty while no image is open."""
        return {} if self.desk is None else self.desk.values

    @property
    def is_busy(self) -> bool:
        """Whether something is being looked at, or accommodated."""
        return self._seeing.is_busy or self._playing.is_busy or self._settle.isActive()

    # --- an image, and who looks
    def look(self, *, reads_anew: bool = False) -> None:
        """Look at the chosen layer, with who is chosen; ``reads_anew``: one's own file may have changed."""
        self.halt()
        self._settle.stop()
        self._seeing.forget()
        self._last, self.desk, self._rested = self.desk or self._last, None, None
        self._tell()
        chosen = self.panel.image.currentData()
        layer = next((one for one in layers.images_of(self._viewer) if str(one.unique_id) == chosen), None)
        if layer is None:
            self.panel.words.setText("open an image, and it is looked at here")
            return
        try:
            asked = self.panel.asked()
            source = layers.source_of(self._viewer, layer, asked.size_px, is_shown=asked.is_shown)
        except ValueError as error:
            self._complain(error)
            return
        if not asked.perceiver:
            self.panel.words.setText("name your own function: module:function, or mine.py:segment")
            return
        before = self._last
        leave_triton_out()  # the viewer has drawn by now, and torch comes next

        def work() -> tuple[Desk, Maps]:
            from ciliary.tuning.napari_plugin.desk import opened

            desk = opened(source, asked, before, reads_anew=reads_anew)
            return desk, desk.maps()

        self._seeing.ask(Job(work, partial(self._opened, layer), self._complain))
        self.panel.words.setText(f"{layer.name}: looking …")

    def _opened(self, layer: Any, made: tuple[Desk, Maps]) -> None:
        desk, maps = made
        for note in desk.state.scene.photograph.notes:
            show_info(f"{layer.name}: {note}")
        seer = desk.seer
        if self._sliders is None or self._last is None or self._last.seer is not seer:
            self._sliders = Sliders(seer.table, seer.inert, seer.defaults, on_move=self._move, on_rest=self._rest)
            self.panel.area.setWidget(self._sliders)
        self._image, self._last = layer, desk
        self.become(desk, sees=False)
        self._show(maps)

    def _list_images(self, event: Any = None) -> None:
        del event
        box, before = self.panel.image, self.panel.image.currentData()
        box.blockSignals(True)
        box.clear()
        for one in layers.images_of(self._viewer):
            box.addItem(str(one.name), str(one.unique_id))
        if box.count():
            box.setCurrentIndex(max(box.findData(before), 0))
        box.blockSignals(False)
        if box.currentData() != before:
            self.look()

    def _turn(self, event: Any = None) -> None:
        """The slice in front has changed, perhaps."""
        del event
        if self.desk is not None and self._image is not None and self._image.ndim > 2:
            self._settle.start()

    def _browse(self) -> None:
        if path := home.ask_for_python(self):
            self.panel.own.setText(path)
            self.look(reads_anew=True)

    # --- sliders
    def _move(self, name: str, value: float) -> None:
        if self.desk is not None:
            self._rested = self._rested or self.desk.state.now
            desk = self.desk
            self.become(desk.become(_states().previewed(desk.state, desk.seer.table, name, value)), moving=name)

    def _rest(self) -> None:
        if self.desk is not None and self._rested is not None:
            before, self._rested = self._rested, None
            self.become(self.desk.become(_states().committed(self.desk.state, before)), sees=False)

    def _change(self, act: Callable[[State, Desk], State]) -> None:
        if self.desk is not None:
            self.become(self.desk.become(act(self.desk.state, self.desk)))

    def _compare(self, is_together: bool) -> None:
        self._change(lambda s, desk: _states().compared(s, is_together=is_together))

    # --- an episode
    def accommodate(self) -> None:
        """Play an episode as ``ciliary accommodate`` would; what it came to is shown when it ends."""
        desk = self.desk
        if desk is None or self._playing.is_busy:
            return
        self._stop.clear()
        start = self.start(desk)
        self._progress = (0, start.asked.n_trials)

        def note(now: Any) -> None:
            self._progress = (now.n_done, now.n_trials)
            if self._stop.is_set():
                raise StoppedByHand

        self._bar = progress(total=start.asked.n_trials, desc=f"Ciliary: {desk.source.name}")
        self._playing.ask(Job(lambda: desk.accommodate(start, note), partial(self._played, desk, start), self._failed))

    def start(self, desk: Desk) -> Start:
        """The beginning of the episode that the button would play."""
        return desk.start(self.panel.asked(), from_here=self.panel.from_here.isChecked())

    def halt(self) -> None:
        """Stop an episode; nothing is changed."""
        self._stop.set()

    def _played(self, desk: Desk, start: Start, episode: Any) -> None:
        if self.desk is not None and self.desk.state.scene is desk.state.scene and not self._stop.is_set():
            self.become(self.desk.accommodated(episode, start))
            show_info(self.panel.verdict.text())

    def _failed(self, error: Exception) -> None:
        if isinstance(error, StoppedByHand):
            show_info("stopped; nothing was changed")
        else:
            self._complain(error)

    def _count(self) -> None:
        n_done, n_all = self._progress
        self.panel.bar.setMaximum(n_all if n_done else 0)  # 0: the defaults are measured, nobody knows how long
        self.panel.bar.setValue(n_done)
        if self._bar is not None:
            self._bar.update(max(n_done - self._bar.n, 0))

    # --- what is shown
    def become(self, desk: Desk, *, moving: str | None = None, sees: bool = True) -> None:
        """Be at another desk; ``moving``: the slider that a hand is on; ``sees``: and look again."""
        self.desk = desk
        if moving is None:
            self._rested = None
        if self._sliders is not None:
            self._sliders.show_values(desk.values, idle=desk.idle, but=moving)
        self._tell()
        if sees:
            self._see()

    def _see(self) -> None:
        """Show what is seen now; while it is looked at, only the latest of what comes waits."""
        if self.desk is not None:
            desk = self.desk
            self._seeing.ask(Job(desk.maps, partial(self._show, of=desk), self._complain))

    def _show(self, maps: Maps, of: Desk | None = None) -> None:
        if self.desk is None or (of is not None and of.state.scene is not self.desk.state.scene):
            return
        if self._image in self._viewer.layers:
            has_boundary = self.panel.boundary.isChecked()
            layers.show(self._viewer, self._image, self.desk.source.place, maps, has_boundary=has_boundary)
        self.panel.words.setText(maps.words)

    def _tell(self) -> None:
        """Which parts can be used now, and what is said of the episode."""
        panel, state, is_playing = self.panel, self.state, self._playing.is_busy
        episode = None if state is None else state.episode
        panel.act.setEnabled(state is not None and not is_playing)
        for part in (panel.stop, panel.bar):
            part.setVisible(is_playing)
        for part in (panel.reset, panel.save, panel.load, panel.copy):
            part.setEnabled(state is not None)
        panel.undo.setEnabled(state is not None and state.can_undo)
        panel.together.setVisible(episode is not None and episode.together is not None)
        panel.together.setChecked(state is not None and state.now.is_together)
        panel.verdict.setVisible(episode is not None)
        if episode is not None:
            from ciliary.tuning.app.words import told

            panel.verdict.setText(told(episode))
        if is_playing:
            self._tick.start()
            self._count()
        else:
            self._tick.stop()
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def _complain(self, error: Exception) -> None:
        from ciliary.tuning.napari_plugin.desk import TOLD

        label = self.panel.image.currentText() or "image"
        line = failure(label, error)
        self.panel.words.setText(line)
        if not isinstance(error, TOLD):
            raise error  # a fault of ours, which napari tells with its traceback
        show_error(line)


def _states() -> Any:
    from ciliary.tuning.app import state

    return state


def _leave(told: list[tuple[Any, Callable[..., Any]]], stop: threading.Event, gone: Any = None) -> None:
    """Nobody is to tell a panel that is no more, and its episode ends."""
    del gone
    stop.set()
    for event, act in told:
        event.disconnect(act)
