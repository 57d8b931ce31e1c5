"""Files that come from the browser, chosen or dropped: pictures and settings, from whoever reaches the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ciliary.tuning.app import browser

MOST_BYTES = 100_000_000
MOST_SETTINGS_BYTES = 1_000_000
_FORM_BYTES = 100_000  # around a file, of the form that it comes in

Take = Callable[[str, Any], Awaitable[None]]
"""Told a file's name and what it holds."""


class Incoming:
    """Where files arrive; nothing of it is seen.

    Args:
        on_picture: told name and bytes.
        on_settings: told name and text.
        complain: told in a line what was refused, and why.
    """

    def __init__(self, *, on_picture: Take, on_settings: Take, complain: Callable[[str], object]) -> None:
        self._complain = complain

        async def picture(event: Any) -> None:
            await on_picture(event.file.name, await event.file.read())

        async def settings(event: Any) -> None:
            try:
                text = await event.file.text()
            except UnicodeDecodeError:
                complain(f"{event.file.name}: expected exported settings, got no text")
                return
            await on_settings(event.file.name, text)

        self._pictures = self._upload(picture, browser.PICTURES, MOST_BYTES, "hidden-image")
        self._settings = self._upload(settings, browser.SETTINGS, MOST_SETTINGS_BYTES, "hidden-settings")
        ui.add_body_html(browser.script(picture_id=self._pictures.id, settings_id=self._settings.id))

    def pick_picture(self) -> None:
        """Let a person choose one."""
        self._pictures.run_method("pickFiles")

    def pick_settings(self) -> None:
        """Likewise."""
        self._settings.run_method("pickFiles")

    def _upload(self, take: Callable[[Any], Awaitable[None]], accept: str, most: int, mark: str) -> Any:
        async def arrived(event: Any) -> None:
            if event.file.size() > most:  # the browser was told, but need not listen
                self._complain(f"{event.file.name}: {_too_large(most)}")
            else:
                await take(event)
            event.sender.reset()

        upload = ui.upload(on_upload=arrived, auto_upload=True, multiple=True, max_file_size=most)
        upload.on(
            "rejected",
            lambda event: self._refuse(event.args, accept, most),
            js_handler="(refused) => emit(refused.map(one => [one.file.name, one.failedPropValidation]))",
        )
        upload.props(f'accept="{accept}"').classes(f"hidden {mark}")
        return upload

    def _refuse(self, refused: list[tuple[str, str]], accept: str, most: int) -> None:
        wanted = "a picture" if accept == browser.PICTURES else "exported settings, a .json"
        for name, rule in refused:
            self._complain(f"{name}: {_too_large(most) if rule == 'max-file-size' else f'expected {wanted}'}")


def _too_large(most: int) -> str:
    return f"larger than {most // 10**6} MB"


class SizeLimit:
    """Requests that say they hold more than any file that is taken are answered 413, unread (ASGI)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the page answer."""
        length = dict(scope.get("headers", ())).get(b"content-length", b"0")
        if scope["type"] == "http" and (not length.isdigit() or int(length) > MOST_BYTES + _FORM_BYTES):
            await PlainTextResponse(f"{_too_large(MOST_BYTES)}", status_code=413)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
