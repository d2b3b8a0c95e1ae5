"""The price table: what calls cost, since when, and how newer prices come into force."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.cli.prices import prices as command
from jobs.errors import SentinelError
from jobs.ingestion.newer_prices import fetch
from jobs.ingestion.prices import SHIPPED, current, current_table, history, put_into_force, read_file
from schemas.time import to_at_ms
from udfs.prices.cost import cost_usd
from udfs.prices.document import PriceDocument, read_document, updated
from udfs.prices.table import Prices, PriceTable, Tier, Tiered

SONNET_TIER = 200_000


def document(as_of: str, *models: dict[str, Any]) -> PriceDocument:
    data = json.dumps({"as_of": as_of, "source": "made up", "models": models}).encode()
    return read_document(data, as_of="", source="")


def model(name: str, *prices: dict[str, Any], provider: str = "openai") -> dict[str, Any]:
    return {"provider": provider, "model": name, "match": {"starts_with": name}, "prices": prices}


def at(day: str) -> int:
    return to_at_ms(f"{day}T12:00:00Z")


def test_a_call_costs_its_tokens_by_kind() -> None:
    found = cost_usd(
        Prices(input_mtok=3.0, output_mtok=15.0, cache_read_mtok=0.3, cache_write_mtok=3.75),
        prompt_tokens=10_000,
        completion_tokens=1_000,
        cached_tokens=6_000,
        cache_write_tokens=1_000,
    )
    assert found == pytest.approx((3_000 * 3 + 6_000 * 0.3 + 1_000 * 3.75 + 1_000 * 15) / 1e6)


def test_cached_tokens_that_were_left_out_of_the_prompt_come_on_top() -> None:
    found = cost_usd(
        Prices(input_mtok=3.0, output_mtok=15.0, cache_read_mtok=0.3),
        prompt_tokens=10,
        completion_tokens=0,
        cached_tokens=6_000,
    )
    assert found == pytest.approx((10 * 3 + 6_000 * 0.3) / 1e6)


def test_the_price_of_a_long_input_holds_for_the_whole_request() -> None:
    prices = Prices(
        input_mtok=Tiered(3.0, (Tier(SONNET_TIER, 6.0),)), output_mtok=Tiered(15.0, (Tier(SONNET_TIER, 22.5),))
    )
    assert cost_usd(prices, prompt_tokens=SONNET_TIER, completion_tokens=100) == pytest.approx(0.6 + 0.0015)
    assert cost_usd(prices, prompt_tokens=SONNET_TIER + 1, completion_tokens=100) == pytest.approx(
        (SONNET_TIER + 1) * 6e-6 + 100 * 22.5e-6
    )


def test_the_cost_of_a_kind_without_a_price_is_unknown() -> None:
    prices = Prices(input_mtok=2.5, output_mtok=10.0)
    assert cost_usd(prices, prompt_tokens=10, completion_tokens=5, audio_prompt_tokens=3) is None
    assert cost_usd(Prices(input_mtok=0.02), prompt_tokens=10, completion_tokens=0) == pytest.approx(2e-7)
    assert cost_usd(Prices(input_mtok=0.02), prompt_tokens=10, completion_tokens=1) is None
    assert cost_usd(prices, prompt_tokens=None, completion_tokens=None) is None


@given(
    tokens=st.tuples(*[st.none() | st.integers(0, 10**12)] * 6),
    rates=st.tuples(*[st.none() | st.floats(0, 1e5)] * 6),
)
def test_a_cost_is_never_negative_and_never_raises(
    tokens: tuple[int | None, ...], rates: tuple[float | None, ...]
) -> None:
    names = ("prompt", "completion", "cached", "cache_write", "audio_prompt", "audio_completion")
    prices = Prices(None, *rates)
    found = cost_usd(prices, **{f"{name}_tokens": each for name, each in zip(names, tokens, strict=True)})
    assert found is None or found >= 0


def test_prices_hold_from_their_day_and_in_their_hours() -> None:
    table = document(
        "2026-01-01",
        model(
            "chat",
            {"input_mtok": 10},
            {"input_mtok": 2, "constraint": {"start_date": "2025-06-10"}},
            {"input_mtok": 1, "constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"}},
        ),
    ).table()

    def rate(time: str) -> object:
        prices = table.prices("openai", "chat", to_at_ms(time))
        return prices and prices.input_mtok

    assert rate("2025-06-09T12:00:00Z") == 10
    assert rate("2025-06-10T00:30:00Z") == 2
    assert rate("2025-06-09T16:30:00Z") == 1
    assert rate("2026-06-09T00:29:59Z") == 1


def test_a_model_is_found_behind_a_prefix_and_without_its_provider() -> None:
    table = current_table(Path("/nowhere"))
    for provider, name in (("openai", "gpt-4o-2024-11-20"), ("openai", "openai/gpt-4o"), ("*", "claude-sonnet-4-5")):
        assert table.prices(provider, name, at("2026-10-01")) is not None, name
    assert table.prices("openai", "claude-sonnet-4-5", at("2026-10-01")) is None
    assert table.prices("*", "my-own-model", at("2026-10-01")) is None


def test_the_table_that_ships_prices_a_dated_model_by_the_day() -> None:
    table = current_table(Path("/nowhere"))
    before, after = (table.prices("openai", "o3", at(day)) for day in ("2025-06-09", "2025-06-10"))
    assert before is not None
    assert after is not None
    assert (before.input_mtok, after.input_mtok) == (10, 2)


def test_costs_are_those_that_genai_prices_calculates() -> None:
    golden = json.loads((Path(__file__).parents[1] / "golden" / "prices" / "genai-prices.json").read_text())
    table = current_table(Path("/nowhere"))
    for row in golden["rows"]:
        call = dict(zip(golden["columns"], row, strict=True))
        prices = table.prices(call.pop("provider"), call.pop("model"), call.pop("at_ms"))
        assert prices is not None, row
        assert call.pop("cost_usd") == pytest.approx(cost_usd(prices, **call), rel=1e-9), row


def test_an_update_keeps_what_models_cost_before() -> None:
    before = document(
        "2026-01-01",
        model("old", {"input_mtok": 1}),
        model("same", {"input_mtok": 3}),
        model("gone", {"input_mtok": 7}),
    )
    after = document(
        "2026-06-01", model("old", {"input_mtok": 2}), model("same", {"input_mtok": 3}), model("new", {"input_mtok": 5})
    )
    table = updated(before, after).table()

    def rate(name: str, day: str) -> object:
        prices = table.prices("openai", name, at(day))
        return prices and prices.input_mtok

    assert [rate("old", day) for day in ("2026-05-31", "2026-06-01")] == [1, 2]
    assert [rate("same", day) for day in ("2026-05-31", "2026-06-01")] == [3, 3]
    assert [rate("gone", "2026-07-01"), rate("new", "2026-05-01")] == [7, 5]


def test_prices_that_change_twice_have_three_times() -> None:
    first, second, third = (document(f"2026-0{month}-01", model("m", {"input_mtok": month})) for month in (1, 2, 3))
    table = updated(updated(first, second), third).table()
    assert [table.prices("openai", "m", at(f"2026-0{month}-15")).input_mtok for month in (1, 2, 3)] == [1, 2, 3]  # type: ignore[union-attr]


def test_the_format_of_genai_prices_is_read_as_published() -> None:
    published = [
        {
            "id": "openai",
            "name": "OpenAI",
            "api_pattern": "x",
            "models": [
                {"id": "a", "match": {"regex": "^a-[0-9]+$"}, "context_window": 8, "prices": {"input_mtok": 1}},
                {"id": "b", "match": {"equals": "b"}, "prices": {"requests_kcount": 12}},
                {
                    "id": "c",
                    "match": {"or": [{"equals": "c"}, {"ends_with": "-c"}]},
                    "prices": [
                        {"prices": {"input_mtok": {"base": 1, "tiers": [{"start": 9, "price": 2}]}}},
                        {"constraint": {"start_date": "2026-03-13"}, "prices": {"input_mtok": 1.5}},
                    ],
                },
            ],
        }
    ]
    found = read_document(json.dumps(published).encode(), as_of="2026-04-01", source="there")
    assert (found.as_of, found.source, len(found.models)) == ("2026-04-01", "there", 2)
    table = found.table()
    assert table.prices("openai", "a-12", 0) is not None
    assert table.prices("openai", "a-x", 0) is None
    assert table.prices("openai", "x-c", at("2026-03-13")) == Prices(
        constraint=found.models[1].prices[1].constraint, input_mtok=1.5
    )


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        ([model("m", {"input_mtok": -1})], "openai/m: input_mtok: price is not between 0"),
        ([model("m", {"input_mtok": 2e6})], "not between 0 and 100000 US dollars"),
        ([model("m")], "openai/m: no prices"),
        ([model("m", {"input_mtok": 1})] * 2, "openai/m: listed twice"),
        ([model("m", {"input_mtok": 1}) | {"match": {"sounds_like": "m"}}], "openai/m: a match has to be one of"),
        ([model("m", {"input_mtok": 1}) | {"match": {"regex": "("}}], "not one that RE2 reads"),
        ([model("m", {"input_mtok": 1}) | {"match": {"or": "m"}}], "has to be a list of matches"),
        ([model("m", {"input_mtok": "1"})], r"\$.models\[0\].prices\[0\].input_mtok"),
        ([model("m", {"input_mtk": 1})], "unknown field `input_mtk`"),
        ([], "no model has a price"),
    ],
)
def test_a_table_with_a_fault_is_refused_with_its_place(models: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        document("2026-01-01", *models)


def test_what_is_no_json_or_no_table_is_refused() -> None:
    for data in (b"", b"{", b"[1]", b'"a"', b'[{"id": "x"}]'):
        with pytest.raises(ValueError, match=r"not JSON|neither a table|Expected"):
            read_document(data, as_of="2026-01-01", source="x")


def test_the_table_that_ships_is_sound_and_has_its_licence_beside_it() -> None:
    shipped = read_file(SHIPPED)
    assert len(shipped.models) > 400
    assert "MIT" in shipped.source
    assert (SHIPPED.parent / "MIT-genai-prices.txt").read_text().startswith("The MIT License")


def test_an_update_comes_into_force_and_the_table_before_is_kept(tmp_path: Path) -> None:
    put_into_force(tmp_path, document("2027-01-01", model("brand-new", {"input_mtok": 1})))
    put_into_force(tmp_path, document("2027-02-01", model("brand-new", {"input_mtok": 2})))
    assert current(tmp_path).as_of == "2027-02-01"
    table = current_table(tmp_path)
    assert table.prices("openai", "brand-new", at("2027-01-15")).input_mtok == 1  # type: ignore[union-attr]
    assert table.prices("openai", "gpt-4o", at("2027-02-15")) is not None
    assert [path.name for path in history(tmp_path)] == [
        "2026-11-23-until-2027-01-01.json",
        "2027-01-01-until-2027-02-01.json",
    ]
    with pytest.raises(SentinelError, match="older than those in force"):
        put_into_force(tmp_path, document("2027-01-15", model("m", {"input_mtok": 1})))


def test_a_crash_while_writing_leaves_the_table_that_was(tmp_path: Path) -> None:
    path = put_into_force(tmp_path, document("2027-01-01", model("m", {"input_mtok": 1})))
    path.with_suffix(".new").write_bytes(b'{"as_of": "2027-0')
    assert current(tmp_path).as_of == "2027-01-01"


def test_the_command_shows_checks_and_updates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path))
    run = CliRunner().invoke
    shown = run(command, ["show", "gpt-4o", "--at", "2026-10-01"])
    assert shown.exit_code == 0
    assert "2.5" in shown.output
    assert "openai" in shown.output
    newer = tmp_path / "newer.json"
    newer.write_bytes(
        json.dumps({"as_of": "2027-01-01", "source": "me", "models": [model("gpt-4o", {"input_mtok": 99})]}).encode()
    )
    assert run(command, ["update", str(newer)]).exit_code == 0
    assert "99" in run(command, ["show", "gpt-4o", "--at", "2027-01-01"]).output
    assert "99" not in run(command, ["show", "gpt-4o", "--at", "2026-12-31"]).output
    checked = run(command, ["check"]).output
    assert "as of 2027-01-01" in checked
    assert "earlier tables: 1" in checked


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Return the address of a server of files on this machine, those of `tmp_path / "site"`."""
    (tmp_path / "site").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_prices_are_fetched_from_an_address(site: str, tmp_path: Path) -> None:
    published = [{"id": "openai", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 1}}]}]
    (tmp_path / "site" / "prices.json").write_text(json.dumps(published))
    found = fetch(f"{site}/prices.json")
    assert (found.source, len(found.models)) == (f"{site}/prices.json", 1)
    with pytest.raises(SentinelError, match=r"missing\.json: status 404"):
        fetch(f"{site}/missing.json")
    (tmp_path / "site" / "page.html").write_text("<html>")
    with pytest.raises(SentinelError, match=r"page\.html is no price table: not JSON"):
        fetch(f"{site}/page.html")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["show", "no-such-model"], "no provider in the price table has no-such-model"),
        (["show", "gpt-4o", "--at", "yesterday"], "--at: yesterday is no day"),
        (["check", "/nowhere.json"], "cannot read prices from /nowhere.json"),
        (["update", "http://127.0.0.1:9/prices.json"], "cannot fetch prices from http://127.0.0.1:9"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path))
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, SentinelError)
    assert problem in str(result.exception)


def test_a_table_finds_a_model_again_without_searching() -> None:
    table: PriceTable = document("2026-01-01", model("m", {"input_mtok": 1})).table()
    assert table.prices("openai", "m-1", 0) is table.prices("openai", "m-1", 0)
    assert len(table) == len(list(table)) == 1
