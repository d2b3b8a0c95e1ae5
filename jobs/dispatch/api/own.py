"""What Alertmanager's interface lacks: why, acknowledge, escalate, and what could not be delivered."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from jobs.dispatch.api.answers import RefusedError, body_of, found, malformed, problem
from jobs.dispatch.engine import Engine
from jobs.dispatch.outbox.changes import NotificationState
from schemas.time import from_at_ms, to_at_ms

_DECISIONS_MAX: Final = 1_000
_NOTIFICATIONS_MAX: Final = 1_000


async def why(engine: Engine, request: Request) -> Response:
    """Show where an alert stands and every decision about it that is still kept, oldest first."""
    identity = _fingerprint(request)
    kept = await engine.ask(lambda store: store.decisions(identity, _DECISIONS_MAX))
    core, now_ms = engine.core, engine.clock()
    alert = core.dispatcher.alerts.get(identity)
    if alert is None and not kept:
        raise _unknown(identity)
    shown: dict[str, Any] = {"fingerprint": identity, "state": "gone", "by": "", "labels": {}, "groups": []}
    if alert is not None:
        standing = core.standing(identity, alert, now_ms)
        shown |= {
            "state": standing.state,
            "by": standing.by,
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": from_at_ms(alert.starts_at_ms),
            "endsAt": from_at_ms(alert.ends_at_ms or 0),
            "groups": [
                {
                    "key": group.key,
                    "receiver": group.route.receiver,
                    "route": group.route.key,
                    "nextAt": from_at_ms(group.next_at_ms) if group.alive else None,
                }
                for group in core.dispatcher.groups_of(identity)
            ],
        }
    decisions = [msgspec.json.decode(each) for each in kept]
    shown["decisions"] = [{"at": from_at_ms(each.pop("at_ms")), **each} for each in decisions]
    return found(shown)


async def acknowledge(engine: Engine, request: Request) -> Response:
    """Take an alert on: `by` says who, `comment` what about it, `endsAt` until when at most."""
    identity = _fingerprint(request)
    by, comment = await _who(request)
    until_ms = _end(await body_of(request, "acknowledgement"), engine.clock())
    try:
        await engine.do(lambda now_ms: engine.core.acknowledge(identity, by, comment, now_ms, until_ms))
    except KeyError:
        raise _unknown(identity) from None
    except ValueError as error:
        raise RefusedError(problem(409, 409, f"{error}")) from None
    return found({"fingerprint": identity, "state": "acknowledged", "by": by})


async def escalate(engine: Engine, request: Request) -> Response:
    """Make the next step of an alert's escalation chain due now."""
    identity = _fingerprint(request)
    by, _ = await _who(request)
    try:
        await engine.do(lambda now_ms: engine.core.escalate(identity, by, now_ms))
    except KeyError:
        raise _unknown(identity) from None
    except ValueError as error:
        raise RefusedError(problem(409, 409, f"{error}")) from None
    return found({"fingerprint": identity, "by": by})


async def dead_letters(engine: Engine, request: Request) -> Response:
    """Show the newest notifications in a state: `pending`, `sending`, `sent` or `dead`, which is the default."""
    asked = request.query_params.getlist("state") or [NotificationState.DEAD.value]
    try:
        states = [NotificationState(each) for each in asked]
    except ValueError:
        known = ", ".join(NotificationState)
        raise malformed(400, 400, f"state: one of {known} is wanted, not {', '.join(asked)[:100]}") from None
    kept = await engine.ask(lambda store: store.notifications(states, _NOTIFICATIONS_MAX))
    return found(
        [
            {
                "id": each.notification_id,
                "state": each.state,
                "receiver": each.receiver,
                "channel": each.channel,
                "groupKey": each.group_key,
                "reason": each.reason,
                "createdAt": from_at_ms(each.created_at_ms),
                "changedAt": from_at_ms(each.changed_at_ms),
                "tries": each.tries,
                "detail": each.detail,
            }
            for each in kept
        ]
    )


async def _who(request: Request) -> tuple[str, str]:
    body = await body_of(request, "acknowledgement")
    by, comment = (body.get("by"), body.get("comment", "")) if isinstance(body, dict) else (None, "")
    if not isinstance(by, str) or not by.strip() or not isinstance(comment, str):
        raise malformed(422, 602, "by in body is required: who does this, and comment may say what about it")
    return by.strip()[:256], comment[:2_000]


def _end(body: dict[str, Any], now_ms: int) -> int | None:
    text = body.get("endsAt")
    if text is None:
        return None
    try:
        at_ms = to_at_ms(text)
    except (ValueError, TypeError):
        raise malformed(422, 602, "endsAt in body must be a time such as 2026-01-01T12:00:00Z") from None
    if at_ms <= now_ms:
        raise malformed(422, 602, "endsAt in body must lie in the future")
    return at_ms


def _fingerprint(request: Request) -> str:
    text = str(request.path_params["fingerprint"])
    if len(text) != 16 or not set(text) <= set("0123456789abcdef"):  # noqa: PLR2004 - 64 bits in hexadecimal
        raise malformed(422, 601, f'fingerprint in path must be 16 hexadecimal digits: "{text[:64]}"')
    return text


def _unknown(identity: str) -> RefusedError:
    return malformed(404, 404, f"no alert has the fingerprint {identity}, and no decision about one is kept")
