"""One try to the log of dispatch, or to a program of this machine."""

import asyncio
import contextlib
import logging
from typing import Final

from udfs.alerting.messages.context import MessageContext
from udfs.alerting.messages.webhook import alertmanager_body
from udfs.alerting.outcome import FailureReason, Outcome, Refused, Retry, Sent
from udfs.alerting.receivers.local import CommandConfig, LogConfig
from udfs.alerting.receivers.text import default

LOG = logging.getLogger("dispatch.channels.log")
_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
TEMPORARY: Final = 75
"""Exit code EX_TEMPFAIL of sysexits.h."""


def logged(config: LogConfig, context: MessageContext) -> Outcome:
    """Write one line."""
    notification = context.notification
    subject = context.text(default("__subject"))
    LOG.log(_LEVELS[config.level], "%s %s: %s", notification.receiver, notification.channel, subject)
    return Sent()


async def commanded(config: CommandConfig, context: MessageContext, timeout_s: float) -> Outcome:
    """Run the program with the notification on its standard input, and end it when its time is up."""
    try:
        process = await asyncio.create_subprocess_exec(
            *config.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        detail = f"{config.command[0]} cannot be started: {error.strerror}"
        return Refused(reason=FailureReason.CLIENT_ERROR, detail=detail)
    try:
        async with asyncio.timeout(timeout_s):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await process.communicate(alertmanager_body(context))
            code = await process.wait()
    except TimeoutError:
        detail = f"{config.command[0]} did not end within {timeout_s:g} s"
        return Retry(reason=FailureReason.CONTEXT_DEADLINE_EXCEEDED, detail=detail)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code == 0:
        return Sent()
    detail = f"{config.command[0]} ended with exit code {code}"
    if code == TEMPORARY:
        return Retry(reason=FailureReason.SERVER_ERROR, detail=detail)
    return Refused(reason=FailureReason.CLIENT_ERROR, detail=detail)
