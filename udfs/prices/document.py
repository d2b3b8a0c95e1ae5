"""Price documents: the file a price table is read from, ours or that of pydantic/genai-prices as it is published."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from udfs.prices.matching import check_rule
from udfs.prices.table import Constraint, PricedModel, Prices, PriceTable, Rate, Tiered

DEAREST_MTOK: Final = 100_000.0
"""US dollars a million tokens that no price may exceed: a slip of the point is likelier."""
_KINDS: Final = tuple(name for name in Prices.__struct_fields__ if name.endswith("_mtok"))


class PriceDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a price table was made of."""

    as_of: str
    """Day on which the prices were taken, `2026-11-23`."""
    source: str
    """Where from, and under which licence."""
    models: tuple[PricedModel, ...]

    def table(self) -> PriceTable:
        """Return the table."""
        by_provider: dict[str, list[PricedModel]] = {}
        for priced in self.models:
            by_provider.setdefault(priced.provider, []).append(priced)
        return PriceTable({provider: tuple(models) for provider, models in by_provider.items()})


def read_document(data: bytes, *, as_of: str, source: str) -> PriceDocument:
    """Return the document that JSON holds, checked; `as_of` and `source` are for one that does not say so itself.

    Raises ValueError with the place and the problem.
    """
    try:
        raw = msgspec.json.decode(data)
    except msgspec.DecodeError as problem:
        raise ValueError(f"not JSON: {problem}") from None
    if isinstance(raw, list):
        raw = {"as_of": as_of, "source": source, "models": list(_published(raw))}
    try:
        document = msgspec.convert(raw, PriceDocument)
    except msgspec.ValidationError as problem:
        raise ValueError(str(problem)) from None
    _check(document)
    return document


def updated(before: PriceDocument, after: PriceDocument) -> PriceDocument:
    """Return the later document with the prices of the earlier one for the time before the later one's day.

    A model whose later prices say themselves since when they hold keeps those; one that is gone keeps its prices.
    """
    known = {(each.provider, each.model): each for each in before.models}
    models = [_dated(known.pop((each.provider, each.model), None), each, after.as_of) for each in after.models]
    return structs.replace(after, models=(*models, *known.values()))


def _dated(before: PricedModel | None, after: PricedModel, day: str) -> PricedModel:
    if before is None or len(after.prices) > 1 or after.prices[0].constraint is not None:
        return after
    (new,) = after.prices
    newest = before.prices[-1]
    if structs.replace(newest, constraint=None) == new:
        return structs.replace(after, prices=before.prices)
    earlier = tuple(each for each in before.prices if not _starts(each, day))
    return structs.replace(after, prices=(*earlier, structs.replace(new, constraint=Constraint(start_date=day))))


def _starts(prices: Prices, day: str) -> bool:
    since = prices.constraint.start_date if prices.constraint else None
    return since is not None and since >= day


def _published(providers: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the models of a document as pydantic/genai-prices publishes it; only prices of tokens are taken."""
    for position, provider in enumerate(providers):
        models = provider.get("models") if isinstance(provider, dict) else None
        if not models:
            raise ValueError(f"provider {position}: neither a table of ours nor one of genai-prices")
        for model in models:
            prices = model.get("prices") if isinstance(model, dict) else None
            listed = prices if isinstance(prices, list) else [{"prices": prices}]
            taken = [_tokens(each) for each in listed if isinstance(each, dict)]
            if priced := [each for each in taken if set(each) & set(_KINDS)]:
                yield {
                    "provider": provider.get("id"),
                    "model": model.get("id"),
                    "match": model.get("match"),
                    "prices": priced,
                }


def _tokens(entry: dict[str, Any]) -> dict[str, Any]:
    prices = entry.get("prices") or {}
    taken = {name: prices[name] for name in _KINDS if prices.get(name) is not None}
    constraint = entry.get("constraint")
    return taken | ({"constraint": constraint} if constraint else {})


def _check(document: PriceDocument) -> None:
    if not document.models:
        raise ValueError("no model has a price of tokens")
    seen: set[tuple[str, str]] = set()
    for each in document.models:
        place = f"{each.provider}/{each.model}"
        if (each.provider, each.model) in seen:
            raise ValueError(f"{place}: listed twice")
        seen.add((each.provider, each.model))
        if not each.prices:
            raise ValueError(f"{place}: no prices")
        check_rule(each.match, place)
        for prices in each.prices:
            for kind in _KINDS:
                _check_rate(getattr(prices, kind), f"{place}: {kind}")


def _check_rate(rate: Rate | None, place: str) -> None:
    values: Mapping[str, float] = {}
    if isinstance(rate, Tiered):
        values = {"base": rate.base} | {f"from {tier.start} tokens": tier.price for tier in rate.tiers}
        if [tier.start for tier in rate.tiers] != sorted({tier.start for tier in rate.tiers}):
            raise ValueError(f"{place}: tiers have to rise")
    elif rate is not None:
        values = {"price": rate}
    for name, value in values.items():
        if not 0 <= value <= DEAREST_MTOK:
            raise ValueError(f"{place}: {name} is not between 0 and {DEAREST_MTOK:g} US dollars a million tokens")
