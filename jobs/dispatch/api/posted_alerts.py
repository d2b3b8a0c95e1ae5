"""Alerts as senders post them; each is judged by itself, so that a bad one takes no good one with it."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from jobs.dispatch.api.answers import malformed, unparsable
from schemas.time import to_at_ms
from udfs.alerting.alert import Alert

CLASSIC_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_UNSET_YEAR: Final = "0001-"
"""An instant of this year stands for none."""


def posted_alerts(body: Any, now_ms: int, *, classic_names: bool) -> tuple[list[Alert], list[str]]:
    """Return the alerts that can be taken, and the reasons against each of the others.

    Raises RefusedError for a body that has not the form of alerts at all.
    """
    if body is None:
        return [], []
    if not isinstance(body, list):
        raise unparsable("alerts", "a list of alerts is wanted")
    alerts = []
    mistakes = []
    for number, each in enumerate(body):
        alert, mistake = _posted(each, number, now_ms, classic_names=classic_names)
        if alert is not None:
            alerts.append(alert)
        else:
            mistakes.append(mistake)
    return alerts, mistakes


def _posted(each: Any, number: int, now_ms: int, *, classic_names: bool) -> tuple[Alert | None, str]:
    if not isinstance(each, dict):
        raise unparsable("alerts", f"element {number} is no object")
    if each.get("labels") is None:
        raise malformed(422, 602, f"{number}.labels in body is required")
    labels = {name: value for name, value in _texts(each, "labels", number).items() if value}
    annotations = _texts(each, "annotations", number)
    starts_at_ms = _instant(each, "startsAt", number)
    ends_at_ms = _instant(each, "endsAt", number)
    url = _url(each, number)
    if starts_at_ms is None:
        starts_at_ms = now_ms if ends_at_ms is None else ends_at_ms
    mistake = (
        ("start time must be before end time" if ends_at_ms is not None and ends_at_ms < starts_at_ms else "")
        or _bad_name("label set", labels, classic_names=classic_names)
        or ("" if labels else "at least one label pair required")
        or _bad_name("annotations", annotations, classic_names=classic_names)
    )
    if mistake:
        return None, mistake
    return (
        Alert(
            labels=labels,
            annotations=annotations,
            starts_at_ms=starts_at_ms,
            updated_at_ms=now_ms,
            ends_at_ms=ends_at_ms,
            generator_url=url,
        ),
        "",
    )


def _texts(each: dict[str, Any], field: str, number: int) -> dict[str, str]:
    texts = each.get(field)
    if texts is None:
        return {}
    if not isinstance(texts, dict) or not all(isinstance(value, str) for value in texts.values()):
        raise unparsable("alerts", f"{number}.{field} is no object of texts")
    return texts


def _instant(each: dict[str, Any], field: str, number: int) -> int | None:
    text = each.get(field)
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise unparsable("alerts", f"{number}.{field} is no text")
    if text.startswith(_UNSET_YEAR):
        return None
    try:
        return to_at_ms(text)
    except ValueError as error:
        raise unparsable("alerts", f'{number}.{field} "{text[:64]}" is {error}') from None


def _url(each: dict[str, Any], number: int) -> str:
    url = each.get("generatorURL")
    if url is None or url == "":
        return ""
    if isinstance(url, str) and not any(character.isspace() for character in url):
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme or url.startswith("/"):
            return url
    raise malformed(422, 601, f'{number}.generatorURL in body must be of type uri: "{str(url)[:200]}"')


def _bad_name(what: str, texts: dict[str, str], *, classic_names: bool) -> str:
    for name in texts:
        if not name or (classic_names and CLASSIC_NAME.fullmatch(name) is None):
            return f'invalid {what}: invalid name "{name}"'
    return ""
