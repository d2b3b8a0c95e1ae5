"""`sentinel prices`: what tokens cost, since when, and how old that knowledge is."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from jobs.errors import SentinelError
from jobs.ingestion.newer_prices import PUBLISHED_URL, fetch
from jobs.ingestion.prices import current, history, put_into_force, read_file
from jobs.stack.layout import default_home
from udfs.prices.document import PriceDocument
from udfs.prices.matching import matches
from udfs.prices.table import PricedModel, Rate, Tiered, prices_at

OLD: Final = timedelta(days=90)
"""Age from which `check` advises an update."""

prices = typer.Typer(
    no_args_is_help=True,
    help="Show, check and update the price table that ingestion computes cost by; docs/normalisation.md says how.",
)
_console: Final = Console(highlight=False, soft_wrap=True)


@prices.command()
def show(
    model: Annotated[str, typer.Argument(help="A model, as requests or responses name it.")],
    at: Annotated[
        str | None, typer.Option(help="The day whose prices to show, as 2026-05-31; by default today.")
    ] = None,
) -> None:
    """Print what tokens of a model cost, at every provider that has it."""
    day = _day(at)
    document = current(default_home())
    names = {model.lower(), model.lower().rpartition("/")[2]}
    found = [each for each in document.models if any(matches(each.match, name) for name in names)]
    if not found:
        raise SentinelError(f"no provider in the price table has {model}: its cost will be unknown")
    table = Table(title=f"{model} on {day}: US dollars a million tokens (table of {document.as_of})")
    for column in ("provider", "entry", "input", "output", "cache read", "cache write", "since"):
        table.add_column(column)
    for each in found:
        table.add_row(*_row(each, day))
    _console.print(table)


@prices.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="A table to check; by default the one in force.")] = None,
) -> None:
    """Say whether a price table is sound, of when it is and what is in it."""
    home = default_home()
    document = read_file(file) if file else current(home)
    providers = {each.provider for each in document.models}
    _console.print(f"{len(document.models)} models of {len(providers)} providers, as of {document.as_of}", markup=False)
    _console.print(f"source: {document.source}", markup=False)
    if file is None:
        _console.print(f"earlier tables: {sum(1 for _ in history(home))}")
    age = datetime.now(UTC).date() - _as_of(document)
    if age > OLD:
        _console.print(f"{age.days} days old: `sentinel prices update {PUBLISHED_URL}` fetches newer prices")


@prices.command()
def update(
    source: Annotated[
        str, typer.Argument(help="A file, or a URL: a table of ours, or of pydantic/genai-prices as it is published.")
    ] = PUBLISHED_URL,
) -> None:
    """Put newer prices into force; what models cost before stays known, and the table that was is kept."""
    document = fetch(source) if source.startswith(("http://", "https://")) else read_file(Path(source))
    home = default_home()
    path = put_into_force(home, document)
    _console.print(
        f"prices of {document.as_of} are in force for {len(document.models)} of the {len(current(home).models)} "
        f"models in {path}",
        markup=False,
    )
    _console.print("Ingestion that keeps its prices there reads them now.")


def _row(priced: PricedModel, day: date) -> tuple[str, ...]:
    at_ms = int(datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC).timestamp() * 1000)
    holds = prices_at(priced.prices, at_ms)
    if holds is None:
        return (priced.provider, priced.model, "no price then", "", "", "", "")
    constraint = holds.constraint
    since = ""
    if constraint is not None:
        since = constraint.start_date or f"{constraint.start_time} to {constraint.end_time} daily"
    kinds = (holds.input_mtok, holds.output_mtok, holds.cache_read_mtok, holds.cache_write_mtok)
    return (priced.provider, priced.model, *map(_rate, kinds), since)


def _rate(rate: Rate | None) -> str:
    if isinstance(rate, Tiered):
        return "; ".join([f"{rate.base:g}", *(f"{tier.price:g} from {tier.start:,}" for tier in rate.tiers)])
    return "" if rate is None else f"{rate:g}"


def _day(text: str | None) -> date:
    try:
        return datetime.now(UTC).date() if text is None else date.fromisoformat(text)
    except ValueError:
        raise SentinelError(f"--at: {text} is no day; write it as 2026-05-31") from None


def _as_of(document: PriceDocument) -> date:
    try:
        return date.fromisoformat(document.as_of)
    except ValueError:
        raise SentinelError(f"as_of: {document.as_of!r} is no day; write it as 2026-05-31") from None
