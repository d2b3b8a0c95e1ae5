"""Traces become arrivals: what is read is what was recorded, what is drawn follows the published laws."""

import gzip
import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from jobs.errors import SentinelError
from jobs.replay.arrivals import MISSING, Arrivals, Recorded, Renewal, Workload, unit_gaps
from jobs.replay.latency import latency_profiles
from jobs.replay.prices import price_table
from jobs.replay.readers import TraceKind, read_trace
from jobs.replay.world import packaged_workloads


def _calls(workload: Workload, rate_per_s: float, number: int, seed: int = 1) -> Arrivals:
    blocks = islice(workload.arrivals(np.random.default_rng(seed), rate_per_s, 64), -(-number // 64))
    return Arrivals(*(np.concatenate(column)[:number] for column in zip(*blocks, strict=True)))


@pytest.mark.parametrize("name", sorted(packaged_workloads()))
def test_every_packaged_trace_gives_calls_in_order_at_the_wanted_rate(name: str) -> None:
    workload = packaged_workloads()[name]
    # Whole turns of the trace, so that the course of the day averages out.
    turns = 2
    if isinstance(workload, Recorded):
        number = turns * len(workload.arrived_ms)
    else:
        assert isinstance(workload, Renewal)
        number = 20_000
    calls = _calls(workload, 5.0, number)
    assert np.all(np.diff(calls.offset_ms) >= 0)
    assert calls.offset_ms[0] >= 0
    assert calls.prompt_tokens.min() > 0
    if isinstance(workload, Recorded):
        assert number / calls.offset_ms[-1] * 1000.0 == pytest.approx(5.0, rel=0.02)
    else:
        # In operational time the rate is 1: the standard error of the mean of n gaps is cv / sqrt(n). The daily course
        # is taken out by counting expected calls instead of milliseconds; here whole days are enough.
        days = math.floor(calls.offset_ms[-1] / workload.grid_ms[-1])
        whole = calls.offset_ms < days * workload.grid_ms[-1]
        if days:
            expected = 5.0 * days * workload.grid_ms[-1] / 1000.0
            assert whole.sum() == pytest.approx(expected, rel=4 * workload.cv.max() / math.sqrt(expected))


def test_azure_rows_are_replayed_as_they_were_recorded(tmp_path: Path) -> None:
    path = tmp_path / "chat.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.0000000,374,44\n"
        "2023-11-16 18:15:47.5000000,396,109\n"
        "2023-11-16 18:15:49.0000000,879,55\n"
    )
    (workload,) = read_trace(path, TraceKind.AZURE)
    assert isinstance(workload, Recorded)
    assert workload.arrived_ms.tolist() == [0.0, 1500.0, 3000.0]
    calls = _calls(workload, 3 / 4.5, 9)
    # At its own rate nothing is stretched: gaps are as recorded, and each row comes round in turn.
    assert np.allclose(np.diff(calls.offset_ms), 1500.0)
    assert sorted(calls.prompt_tokens[:3].tolist()) == [374, 396, 879]
    assert calls.prompt_tokens[3:6].tolist() == calls.prompt_tokens[:3].tolist()
    assert set(calls.cached_tokens.tolist()) == {MISSING}


def test_mooncake_prefix_blocks_seen_before_are_cached_tokens(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl.gz"
    lines = [
        '{"timestamp": 0, "input_length": 1000, "output_length": 5, "hash_ids": [0, 1]}',
        '{"timestamp": 0, "input_length": 1500, "output_length": 5, "hash_ids": [0, 2, 3]}',
        '{"timestamp": 3000, "input_length": 1000, "output_length": 5, "hash_ids": [0, 1]}',
        '{"timestamp": 3000, "input_length": 600, "output_length": 5, "hash_ids": [9, 1]}',
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    (workload,) = read_trace(path, TraceKind.MOONCAKE)
    assert isinstance(workload, Recorded)
    # Blocks of 512 tokens: none, the first, both (at most the prompt), and none: a prefix begins at the start.
    assert workload.cached_tokens.tolist() == [0, 512, 1000, 0]
    # Two requests of one moment are spread over the 3 s to the next: at 1/4 and 3/4 of them.
    assert np.diff(workload.arrived_ms).tolist() == [1500.0, 1500.0, 1500.0]


def test_servegen_clients_become_workloads(tmp_path: Path) -> None:
    (tmp_path / "pool.csv").write_text(
        "client,start_s,rate,cv,pattern,param1,param2\n"
        "a,0,2,1,Gamma,1,0.5\na,600,2,1,Gamma,1,0.5\nb,0,0,0,,0,0\nb,600,0,0,,0,0\n"
    )
    sides = [f"{side}_tokens_p{p}" for side in ("input", "output") for p in (5, 25, 50, 75, 95, 99)]
    (tmp_path / "pool-tokens.csv").write_text(
        "client,start_s," + ",".join(sides) + "\na,0," + ",".join(["40"] * 6 + ["7"] * 6) + "\n"
    )
    (workload,) = read_trace(tmp_path / "pool.csv", TraceKind.SERVEGEN)
    assert workload.name == "pool/a"
    calls = _calls(workload, 10.0, 10_000)
    # Constant rate and cv 1: a Poisson process, whose count has a standard deviation of 1 %.
    assert 10_000 / calls.offset_ms[-1] * 1000.0 == pytest.approx(10.0, rel=0.04)
    # Below the 5 % quantile half of it is the least there is.
    assert calls.prompt_tokens.min() >= 20
    assert np.median(calls.prompt_tokens) == 40
    assert np.median(calls.completion_tokens) == 7


@pytest.mark.parametrize("weibull", [False, True])
@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gaps_have_mean_one_and_the_published_variation(cv: float, weibull: bool) -> None:  # noqa: FBT001
    gaps = unit_gaps(np.random.default_rng(5), cv, weibull=weibull, size=400_000)
    assert gaps.mean() == pytest.approx(1.0, abs=5 * cv / math.sqrt(len(gaps)))
    # The variance of a heavy tail converges slowly: 10 % is about 4 standard errors of a Weibull with cv 3.
    assert gaps.std() == pytest.approx(cv, rel=0.10)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (TraceKind.AZURE, "TIMESTAMP,Tokens\n", "line 1: the column ContextTokens is missing"),
        (
            TraceKind.AZURE,
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,x,1\n",
            "line 2: invalid literal",
        ),
        (TraceKind.AZURE, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1\n", "line 2: it has another"),
        (TraceKind.AZURE, "TIMESTAMP,ContextTokens,GeneratedTokens\n", "fewer than two requests"),
        (TraceKind.MOONCAKE, '{"timestamp": 0, "input_length": 1}\n', "line 1: the field 'output_length' is missing"),
        (TraceKind.MOONCAKE, "\nno\n", "line 2: Expecting value"),
        (TraceKind.MOONCAKE, "3\n", "line 1:"),
        (
            TraceKind.MOONCAKE,
            "".join(f'{{"timestamp": {at}, "input_length": 1, "output_length": 1}}\n' for at in (9, 3, 12)),
            "request 2 is older",
        ),
        (TraceKind.SERVEGEN, "client,start_s,rate,cv,pattern\n", "token quantiles of"),
    ],
)
def test_bad_trace_is_refused_with_its_line(tmp_path: Path, kind: TraceKind, text: str, sentence: str) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(text)
    with pytest.raises(SentinelError) as refused:
        read_trace(path, kind)
    assert str(path) in str(refused.value)
    assert sentence in str(refused.value)


def test_binary_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(b"\x00\x01not gzip")
    with pytest.raises(SentinelError, match="cannot be read"):
        read_trace(path, TraceKind.AZURE)


def test_missing_trace_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SentinelError, match="no trace file"):
        read_trace(tmp_path / "none.csv", TraceKind.AZURE)


def test_latency_profiles_hold_only_requests_without_an_error() -> None:
    profiles = latency_profiles()
    # Of 150 requests each: bedrock has 97 and lepton 130 with an error code, the others none.
    sizes = {endpoint: len(profile.first_token_ms) for endpoint, profile in profiles.items()}
    assert sizes["bedrock/llama2-13b"] == 53
    assert sizes["lepton/llama2-7b"] == 20
    assert sizes["anyscale/llama2-7b"] == 150
    # The first request of anyscale: 0.42823 s to the first of 151 tokens, 2.91391 s in all.
    first = profiles["anyscale/llama2-7b"]
    assert first.first_token_ms[0] == pytest.approx(428.228, abs=1e-3)
    assert first.between_tokens_ms[0] == pytest.approx((2913.914 - 428.228) / 150, abs=1e-3)


def test_cached_tokens_are_charged_at_their_own_price() -> None:
    one = np.array([1_000_000])
    gpt = price_table()["openai/gpt-4o"]
    # 2.50 USD a million of input, 1.25 from the cache, 10 of output.
    assert gpt.cost_usd(one, one * 0, one * 0 + MISSING)[0] == pytest.approx(2.5)
    assert gpt.cost_usd(one, one * 0, one)[0] == pytest.approx(1.25)
    assert gpt.cost_usd(one * 0, one, one * 0)[0] == pytest.approx(10.0)
    # No cache price in the table means the input price: 0.88.
    llama = price_table()["together/meta-llama/Llama-3.3-70B-Instruct-Turbo"]
    assert llama.cost_usd(one, one * 0, one)[0] == pytest.approx(0.88)
