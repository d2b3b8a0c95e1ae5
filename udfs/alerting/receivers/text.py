"""Texts of a configuration that are templates, and the addresses that are URLs."""

from typing import Final
from urllib.parse import urlsplit

TEMPLATE_MARK: Final = "{{"


def default(name: str) -> str:
    """Return the text that calls the template of that name with the notification."""
    return f'{{{{ template "{name}" . }}}}'


def check_url(key: str, url: str) -> None:
    """Raise ValueError unless this is empty, a template or an http or https URL with a host; never repeats the URL."""
    if not url or TEMPLATE_MARK in url:
        return
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(f"{key} is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{key}: unsupported scheme, use http or https")
    if not parts.hostname:
        raise ValueError(f"{key} has no host")
