"""Filters of lists: matchers and expressions as they come in a request."""

from collections.abc import Callable

from starlette.requests import Request

from jobs.dispatch.api.answers import refused
from udfs.alerting.matcher import Anchored, Matcher, MatchKind, anchored
from udfs.alerting.matcher_text import matchers_of


def filter_matchers(request: Request) -> tuple[Matcher, ...]:
    """Return the matchers of all `filter` parameters. Raises RefusedError for one that is none."""
    found: list[Matcher] = []
    for text in request.query_params.getlist("filter"):
        try:
            found += matchers_of(text)
        except ValueError as error:
            raise refused(str(error)) from None
    return tuple(found)


def finds(wanted: tuple[Matcher, ...], labels: dict[str, str]) -> bool:
    """Return whether labels are what matchers of a filter look for: a label that is not there is not found.

    Source: Alertmanager, `api.matchFilterLabels`.
    """
    return all(
        each.matches(labels) or (each.value == "" and each.name in labels)
        if each.kind in {MatchKind.NOT_EQUAL, MatchKind.NOT_REGEX}
        else each.matches(labels) and (each.name in labels or each.value == "")
        for each in wanted
    )


def receiver_test(request: Request) -> Callable[[str], bool]:
    """Return whether a receiver's name is what the parameter `receiver` asks for."""
    expression = request.query_params.get("receiver")
    if not expression:
        return lambda _name: True
    try:
        wanted: Anchored = anchored(expression)
    except ValueError as error:
        raise refused(f"failed to parse receiver param: {error}") from None
    return lambda name: wanted.search(name) is not None
