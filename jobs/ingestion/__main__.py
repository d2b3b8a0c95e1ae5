"""`python -m jobs.ingestion --config ingestion.yaml`: the gateway, or a sidecar, until SIGTERM."""

import argparse
import logging
import sys
from pathlib import Path

from jobs.errors import SentinelError
from jobs.ingestion.log import log_as_json
from jobs.ingestion.settings import changed, load


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jobs.ingestion", description=__doc__)
    parser.add_argument("--config", type=Path, help="the configuration file; everything has a default")
    parser.add_argument("--bootstrap-servers", help="in place of kafka.bootstrap_servers")
    parser.add_argument("--http", help="in place of listen.http")
    parser.add_argument("--grpc", help="in place of listen.grpc")
    parser.add_argument("--folder", type=Path, help="in place of buffer.folder")
    arguments = parser.parse_args()
    log_as_json()
    try:
        settings = changed(
            load(arguments.config),
            bootstrap_servers=arguments.bootstrap_servers,
            http=arguments.http,
            grpc=arguments.grpc,
            folder=arguments.folder,
        )
        # What the role does not need is not imported: a sidecar is to be small.
        import uvloop  # noqa: PLC0415

        from jobs.ingestion.program import Program  # noqa: PLC0415

        folder = arguments.config.absolute().parent if arguments.config else Path.cwd()
        uvloop.run(Program(settings, folder, arguments.config).run())
    except SentinelError as error:
        logging.getLogger("jobs.ingestion").error("%s", error)  # noqa: TRY400 - one sentence
        print(f"ingestion: {error}", file=sys.stderr)  # noqa: T201 - a person may have started it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
