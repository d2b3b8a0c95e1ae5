"""Credentials as they are now: text of the configuration, a file, a variable of the environment."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from udfs.alerting.receivers.secret import HIDDEN, Secret

_LEAST_SCRUBBED: Final = 4
_FILE_MOST: Final = 65_536

Reveal = Callable[[Secret], str]


class CredentialError(ValueError):
    """A credential that cannot be read; the message names the file or variable, never its content."""


def revealed(secret: Secret, folder: Path) -> str:
    """Return a credential; relative files are relative to the configuration's folder. Raises CredentialError.

    Files are read at every try, so that a credential may change without a reload.
    """
    text = secret.reveal_text()
    if secret.origin == "env":
        value = os.environ.get(text)
        if value is None:
            raise CredentialError(f"the variable {text} is not set in the environment of dispatch")
        return value.strip()
    if secret.origin == "file":
        try:
            with (folder / text).open(encoding="utf-8") as file:
                return file.read(_FILE_MOST).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialError(f"cannot read {text}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    return text


class Revealing:
    """Reveals the credentials of one try and remembers them, so that no answer can repeat one in a message."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[str] = set()

    def __call__(self, secret: Secret) -> str:
        """Return a credential; raises CredentialError."""
        text = revealed(secret, self._folder)
        self.remember(text)
        return text

    def remember(self, text: str) -> None:
        """Keep a text, and its parts that could be a token, out of every message of this try."""
        for part in (text, *text.split("/"), text.removeprefix("Bearer ")):
            if len(part) >= _LEAST_SCRUBBED and part not in ("http:", "https:"):
                self._known.add(part)

    def scrubbed(self, text: str) -> str:
        """Return a text without any credential of this try, in one printable line."""
        for known in sorted(self._known, key=len, reverse=True):
            text = text.replace(known, HIDDEN)
        return " ".join("".join(char if char.isprintable() else " " for char in text).split())
