"""Issues of Jira: looked for by the label of the group, then made, changed, reopened or resolved."""

import json
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from udfs.alerting.messages.context import HttpRequest, MessageContext, shortened
from udfs.alerting.messages.conversation import Conversation
from udfs.alerting.outcome import FailureReason, Outcome, Refused, Sent
from udfs.alerting.receivers.jira import JiraConfig, JiraField
from udfs.alerting.receivers.secret import Secret
from udfs.templates.go_json import go_json

_SUMMARY, _DESCRIPTION = 255, 32_767
_HEADERS: Final = (("Accept-Language", Secret("en")),)
_DONE: Final = "done"


class _Category(Struct, frozen=True):
    key: str = ""


class _Status(Struct, frozen=True, rename="camel"):
    status_category: _Category = _Category()


class _IssueFields(Struct, frozen=True):
    status: _Status = _Status()


class _Issue(Struct, frozen=True):
    key: str
    fields: _IssueFields = _IssueFields()


class _Found(Struct, frozen=True):
    issues: list[_Issue] = []


class _Transition(Struct, frozen=True):
    id: str
    name: str = ""


class _Transitions(Struct, frozen=True):
    transitions: list[_Transition] = []


def jira_conversation(config: JiraConfig, context: MessageContext) -> Conversation:  # noqa: PLR0911 - each end of it
    """Tell a notification. One that is sent again finds the issue it has made: no second one comes of it.

    Source: Alertmanager, `notify/jira`, and Atlassian's REST API 2 and 3.
    """
    api = context.text(config.api_url).rstrip("/")
    found = _decoded((yield _search(config, context, api)), _Found)
    if found is None:
        return _unreadable("the search")
    issue = found.issues[0] if found.issues else None
    if issue is None and not context.is_firing:
        return Sent(detail="there is no open issue to resolve")
    fields = _fields(config, context, is_v3=urlsplit(api).path.endswith("/3"), is_new=issue is None)
    if issue is None:
        yield _request(f"{api}/issue", {"fields": fields})
        return None
    place = f"{api}/issue/{quote(issue.key, safe='')}"
    yield _request(place, {"fields": fields}, "PUT")
    is_done = issue.fields.status.status_category.key == _DONE
    wanted = config.reopen_transition if context.is_firing else config.resolve_transition
    if is_done != context.is_firing or not wanted:
        return None
    known = _decoded((yield _request(f"{place}/transitions", None, "GET")), _Transitions)
    if known is None:
        return _unreadable("the list of transitions")
    chosen = next((each for each in known.transitions if each.name == wanted), None)
    if chosen is None:
        return Refused(reason=FailureReason.CLIENT_ERROR, detail=f"{issue.key} has no transition {wanted} now")
    yield _request(f"{place}/transitions", {"transition": {"id": chosen.id}})
    return None


def _search(config: JiraConfig, context: MessageContext, api: str) -> HttpRequest:
    conditions = []
    if config.wont_fix_resolution:
        # An issue without resolution is none that somebody has refused; `!=` alone would leave it out.
        refused = _quoted(config.wont_fix_resolution)
        conditions.append(f"(resolution is EMPTY OR resolution != {refused})")
    minutes = config.reopen_duration // 60_000
    if context.is_firing and config.reopen_transition and minutes:
        conditions.append(f"(resolutiondate is EMPTY OR resolutiondate >= -{minutes}m)")
    else:
        conditions.append("statusCategory != Done")
    conditions += [f"project={_quoted(context.text(config.project))}", f"labels={_quoted(_label(context))}"]
    jql = f"{' and '.join(conditions)} order by status ASC,resolutiondate DESC"
    parts = urlsplit(api)
    is_cloud = config.api_type == "cloud" or (
        config.api_type == "auto" and (parts.hostname or "").endswith("atlassian.net")
    )
    place = f"{api}/search/jql".replace("/rest/api/2/", "/rest/api/3/", 1) if is_cloud else f"{api}/search"
    return _request(place, {"jql": jql, "maxResults": 2, "fields": ["status"]})


def _fields(config: JiraConfig, context: MessageContext, *, is_v3: bool, is_new: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "project": {"key": context.text(config.project)},
        "issuetype": {"name": context.text(config.issue_type)},
        "labels": sorted([*map(context.text, config.labels), _label(context)]),
        **{str(name): context.rendered(value) for name, value in config.fields.items()},
    }
    if priority := context.text(config.priority).strip():
        fields["priority"] = {"name": priority}
    summary, description = _as_field(config.summary), _as_field(config.description)
    if is_new or summary.enable_update:
        fields["summary"] = shortened(" ".join(context.text(summary.template).split()), _SUMMARY)
    if is_new or description.enable_update:
        text = shortened(context.text(description.template).strip(), _DESCRIPTION)
        if text:
            fields["description"] = _document(text) if is_v3 else text
    return fields


def _document(text: str) -> Any:
    """Return a description as version 3 wants it: the template's own JSON, or its text as one paragraph a line."""
    if text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError:
            pass
    lines = [line for line in text.splitlines() if line.strip()]
    paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in lines]
    return {"type": "doc", "version": 1, "content": paragraphs}


def _as_field(field: str | JiraField) -> JiraField:
    return JiraField(template=field) if isinstance(field, str) else field


def _label(context: MessageContext) -> str:
    return f"ALERT{{{context.group_hash}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _request(url: str, content: Any, method: str = "POST") -> HttpRequest:
    body = b"" if content is None else go_json(content).encode()
    return HttpRequest(url=Secret(url), body=body, method=method, headers=_HEADERS)


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _unreadable(what: str) -> Outcome:
    return Refused(
        reason=FailureReason.CLIENT_ERROR, detail=f"Jira's answer to {what} is none of its API: is api_url right?"
    )
