"""The commands that say what the detection job would have found in files."""

import json
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from jobs.backtest import series, telemetry
from jobs.backtest.control import in_force
from jobs.detection.settings import JobSettings, load
from jobs.errors import SentinelError
from jobs.rules.files import read_rules
from jobs.score.files import read_truth
from jobs.score.score import score
from jobs.score.table import report_console, score_table
from jobs.training.files import read_model
from schemas.codec import encode

backtest = typer.Typer(no_args_is_help=True, help="Run detectors over files, without Kafka and Flink.")


@backtest.command("telemetry")
def run_telemetry(
    source: Annotated[
        Path,
        typer.Argument(
            help="Telemetry events: JSON lines, gzip if it ends in .gz, or an Avro file if it ends in .avro."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for anomalies, incidents and summaries (JSON lines) and summary.json.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="Configuration of the detection job; by default the default.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Rules that hold from the first event on, YAML or JSON.")] = None,
    models: Annotated[
        list[Path] | None, typer.Option(help="A model of `sentinel train --out`; may be repeated.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="What `sentinel replay --truth` wrote: say which faults were found.")
    ] = None,
) -> None:
    """Run detectors and correlation over a file: write the anomalies and incidents that the job would have found."""
    planted = read_truth(truth) if truth else None
    settings = load(config) if config else JobSettings()
    control = in_force(read_rules(rules) if rules else (), map(read_model, models or ()), settings.detection.detectors)
    records, telemetry_format = telemetry.read_records(source)
    detection = replace(settings.detection, telemetry_format=telemetry_format)
    result = telemetry.backtest(records, detection, control)
    summary = telemetry.counts(result)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "anomalies.jsonl").write_bytes(b"".join(encode(each) + b"\n" for each in result.anomalies))
        (out / "incidents.jsonl").write_bytes(b"".join(encode(each) + b"\n" for each in result.incidents))
        (out / "summaries.jsonl").write_bytes(b"".join(encode(each) + b"\n" for each in result.summaries))
        (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    except OSError as error:
        problem = f"cannot write to {out}: {error.strerror}"
        raise SentinelError(problem) from None
    console = report_console()
    console.print(
        f"{summary['anomalies']} anomalies and {summary['incidents']} incidents of {result.records} records: {out}"
    )
    if planted is not None:
        console.print(score_table(score(planted, result.anomalies, result.incidents)))


@backtest.command("series")
def run_series(
    sources: Annotated[
        list[Path],
        typer.Argument(help="CSV with the columns timestamp and value, .csv or .csv.gz, or folders of such files."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for one CSV of the same name for each.")],
) -> None:
    """Judge series of any origin and step, each in one pass: write scores, anomalies and the expected band."""
    console = report_console()
    for result in series.backtest(sources, out):
        missing = f", {result.missing} of them without a value" if result.missing else ""
        console.print(
            f"{result.source}: {result.anomalies} anomalies, {result.critical} of them critical, in {result.rows} "
            f"rows{missing}"
        )
