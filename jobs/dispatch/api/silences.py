"""Silences as they are posted and shown."""

import uuid
from typing import Any

from msgspec.structs import replace
from starlette.requests import Request

from jobs.dispatch.api.answers import RefusedError, malformed, refused, unparsable
from jobs.dispatch.api.filters import filter_matchers, finds
from jobs.dispatch.api.posted_alerts import CLASSIC_NAME
from jobs.dispatch.core import Core
from schemas.time import from_at_ms, to_at_ms
from udfs.alerting.matcher import Matcher, MatchKind
from udfs.alerting.silence import Silence, SilenceState, can_become, check, normal

_ORDER = (SilenceState.ACTIVE, SilenceState.PENDING, SilenceState.EXPIRED)
_KINDS = {
    (True, False): MatchKind.EQUAL,
    (False, False): MatchKind.NOT_EQUAL,
    (True, True): MatchKind.REGEX,
    (False, True): MatchKind.NOT_REGEX,
}
_BY_KIND = {kind: words for words, kind in _KINDS.items()}


def posted_silence(body: Any, now_ms: int, *, classic_names: bool) -> Silence:
    """Return a silence as it was posted, its id empty for a new one. Raises RefusedError for what is none."""
    texts = _fields(body)
    matchers = tuple(_matcher(each, number) for number, each in enumerate(body["matchers"]))
    for number, matcher in enumerate(matchers):
        if not matcher.name or (classic_names and CLASSIC_NAME.fullmatch(matcher.name) is None):
            raise refused(f'silence invalid: invalid label matcher {number}: invalid label name "{matcher.name}"')
    starts_at_ms, ends_at_ms = _instant(texts, "startsAt"), _instant(texts, "endsAt")
    if starts_at_ms >= ends_at_ms:
        raise refused("Failed to create silence: start time must be before end time")
    if ends_at_ms < now_ms:
        raise refused("Failed to create silence: end time can't be in the past")
    silence = Silence(
        silence_id=texts["id"],
        matcher_sets=(matchers,),
        starts_at_ms=starts_at_ms,
        ends_at_ms=ends_at_ms,
        updated_at_ms=now_ms,
        created_by=texts["createdBy"],
        comment=texts["comment"],
    )
    try:
        check(silence)
    except ValueError as error:
        raise refused(f"silence invalid: {error}") from None
    return silence


def _fields(body: Any) -> dict[str, str]:
    """Return the texts of a silence, all of which and a list of matchers have to be there."""
    if not isinstance(body, dict):
        raise unparsable("silence", "an object is wanted")
    for field in ("comment", "createdBy", "endsAt", "matchers", "startsAt"):
        if body.get(field) is None:
            raise malformed(422, 602, f"{field} in body is required")
    texts = {field: body.get(field) or "" for field in ("id", "comment", "createdBy", "startsAt", "endsAt")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise unparsable("silence", "id, comment, createdBy, startsAt and endsAt are texts")
    if not isinstance(body["matchers"], list):
        raise unparsable("silence", "matchers is no list")
    if not body["matchers"]:
        raise malformed(422, 612, "matchers in body should have at least 1 items")
    return texts


def put_silence(core: Core, posted: Silence, now_ms: int) -> str:
    """Add or change a silence and return its identifier, which is a new one when the past would change.

    Raises RefusedError for an identifier that is unknown.
    """
    wanted = normal(posted)
    if wanted.silence_id:
        known = core.dispatcher.silences.by_id.get(wanted.silence_id)
        if known is None:
            raise refused("silence not found", 404)
        if can_become(known, wanted, now_ms):
            return core.put_silence(wanted, now_ms)
        core.expire_silence(known.silence_id, now_ms)
    return core.put_silence(replace(wanted, silence_id=str(uuid.uuid4())), now_ms)


def shown_silences(core: Core, request: Request, now_ms: int) -> list[dict[str, Any]]:
    """Return the silences that a request asks for: active ones first, then those to come, then those that are over."""
    wanted = filter_matchers(request)
    found = [
        each
        for each in core.dispatcher.silences.by_id.values()
        if finds(wanted, {matcher.name: matcher.value for part in each.matcher_sets for matcher in part})
    ]

    def place(silence: Silence) -> tuple[int, int, str]:
        state = silence.state(now_ms)
        soonest = {SilenceState.ACTIVE: silence.ends_at_ms, SilenceState.PENDING: silence.starts_at_ms}
        return _ORDER.index(state), soonest.get(state, -silence.ends_at_ms), silence.silence_id

    return [shown_silence(each, now_ms) for each in sorted(found, key=place)]


def shown_silence(silence: Silence, now_ms: int) -> dict[str, Any]:
    """Return a silence as it is shown."""
    return {
        "id": silence.silence_id,
        "status": {"state": silence.state(now_ms)},
        "updatedAt": from_at_ms(silence.updated_at_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": from_at_ms(silence.ends_at_ms),
        "matchers": [
            {
                "isEqual": _BY_KIND[each.kind][0],
                "isRegex": _BY_KIND[each.kind][1],
                "name": each.name,
                "value": each.value,
            }
            for matcher_set in silence.matcher_sets
            for each in matcher_set
        ],
        "startsAt": from_at_ms(silence.starts_at_ms),
    }


def silence_id(request: Request) -> str:
    """Return the identifier in a request's path. Raises RefusedError if it is no UUID."""
    text = str(request.path_params["silence_id"])
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise malformed(422, 601, f'silenceID in path must be of type uuid: "{text}"') from None


def unknown_silence() -> RefusedError:
    """Return the refusal of what is to be done to a silence that is not there."""
    return refused("silence not found", 404)


def _matcher(written: Any, number: int) -> Matcher:
    if not isinstance(written, dict):
        raise unparsable("silence", f"matchers.{number} is no object")
    for field in ("isRegex", "name", "value"):
        if written.get(field) is None:
            raise malformed(422, 602, f"matchers.{number}.{field} in body is required")
    name, value = written["name"], written["value"]
    is_regex, is_equal = written["isRegex"], written.get("isEqual", True)
    if not isinstance(name, str) or not isinstance(value, str):
        raise unparsable("silence", f"name and value of matchers.{number} are texts")
    if not isinstance(is_regex, bool) or not isinstance(is_equal, bool | None):
        raise unparsable("silence", f"isRegex and isEqual of matchers.{number} are true or false")
    return Matcher(name, _KINDS[is_equal is not False, is_regex], value)


def _instant(texts: dict[str, Any], field: str) -> int:
    try:
        return to_at_ms(texts[field])
    except ValueError as error:
        raise unparsable("silence", f'{field} "{texts[field][:64]}" is {error}') from None
