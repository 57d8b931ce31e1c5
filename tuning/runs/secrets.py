"""Passwords and keys are in addresses, and addresses in messages, parameters and commands: none of them leaves here."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(://[^:/@\s]*):\S*@")  # up to the last @ of the word: a password may hold one
_KEYS = "password|passwd|pwd|passphrase|secret|token|api_?key|access_?key|secret_?key|sslpassword|signature|sig"
_QUERY = re.compile(rf"([?&;](?:[\w.-]*[_.-])?(?:{_KEYS})=)[^&;\s'\"]+", re.IGNORECASE)


def masked(text: str) -> str:
    """A text without the passwords of the addresses in it: what is shown and kept is read by others."""
    return _QUERY.sub(r"\1***", _LOGIN.sub(r"\1:***@", text))
