"""One try by mail: implicit TLS or STARTTLS, AUTH, and an answer per recipient."""

import asyncio
from pathlib import Path
from typing import Final

import aiosmtplib
from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException, SMTPTimeoutError

from jobs.dispatch.channels.credentials import CredentialError, Reveal
from jobs.dispatch.channels.tls import tls_context
from udfs.alerting.messages.mail import Mail
from udfs.alerting.outcome import FailureReason, Outcome, Refused, Retry, Sent
from udfs.alerting.receivers.email import SMTPS_PORT, EmailConfig, host_port
from udfs.alerting.receivers.http import TlsConfig

_PERMANENT: Final = 500
_METHODS: Final = ("CRAM-MD5", "PLAIN", "LOGIN")


class MailRefusedError(Exception):
    """A reason for which the server cannot be used as configured."""


async def mailed(  # noqa: PLR0911 - one return per kind of failure
    config: EmailConfig, mail: Mail, already: frozenset[str], folder: Path, reveal: Reveal, timeout_s: float
) -> tuple[Outcome, frozenset[str]]:
    """Return what came of one try, and all recipients that have the mail by now.

    Recipients in `already` are left out. A 4xx answer to one recipient asks for another try for that one alone, a 5xx
    answer gives it up; those that were accepted get the mail at once.
    """
    client: SMTP | None = None
    try:
        client = await _connected(config, folder, reveal, timeout_s)
        return await _delivered(client, mail, already)
    except (MailRefusedError, SMTPAuthenticationError) as error:
        if isinstance(error, SMTPAuthenticationError) and error.code < _PERMANENT:
            return Retry(reason=FailureReason.AUTH_ERROR, detail=f"log in: status {error.code}"), already
        said = f"log in: status {error.code}" if isinstance(error, SMTPAuthenticationError) else str(error)
        return Refused(reason=FailureReason.AUTH_ERROR, detail=said), already
    except SMTPResponseException as error:
        return _answered(error.code, "the server"), already
    except CredentialError as error:
        return Retry(reason=FailureReason.OTHER, detail=str(error)), already
    except (SMTPTimeoutError, TimeoutError):
        detail = f"no answer within {timeout_s:g} s"
        return Retry(reason=FailureReason.CONTEXT_DEADLINE_EXCEEDED, detail=detail), already
    except (SMTPException, OSError, ValueError) as error:
        return Retry(reason=FailureReason.OTHER, detail=f"no mail connection ({type(error).__name__})"), already
    finally:
        if client is not None:
            await _closed(client)


async def _connected(config: EmailConfig, folder: Path, reveal: Reveal, timeout_s: float) -> SMTP:
    host, port = host_port(config.smarthost)
    tls = config.tls_config or TlsConfig()
    implicit = port == SMTPS_PORT if config.force_implicit_tls is None else config.force_implicit_tls
    context = tls_context(tls, folder, reveal)
    client = SMTP(
        hostname=host,
        port=port,
        local_hostname=config.hello or "localhost",
        timeout=timeout_s,
        use_tls=implicit,
        start_tls=False,
        tls_context=context,
    )
    await client.connect()
    await client.ehlo()
    if config.require_tls is not False and not implicit:
        if not client.supports_extension("starttls"):
            await _closed(client)
            raise MailRefusedError("require_tls is on, and the server offers no STARTTLS")
        await client.starttls(server_hostname=tls.server_name or host, tls_context=context)
        await client.ehlo()
    if config.auth_username:
        await _log_in(client, config, reveal)
    return client


async def _log_in(client: SMTP, config: EmailConfig, reveal: Reveal) -> None:
    offered = {method.upper() for method in client.server_auth_methods}
    for method in _METHODS:
        secret = config.shared_secret if method == "CRAM-MD5" else config.password
        if method not in offered or secret is None:
            continue
        word = reveal(secret)
        if method == "CRAM-MD5":
            await client.auth_crammd5(config.auth_username, word)
        elif method == "PLAIN":
            await client.auth_plain(config.auth_username, word)
        else:
            await client.auth_login(config.auth_username, word)
        return
    wanted = ", ".join(sorted(offered)) or "no way to log in"
    raise MailRefusedError(f"the server offers {wanted}, and no password or secret for that is configured")


async def _delivered(client: SMTP, mail: Mail, already: frozenset[str]) -> tuple[Outcome, frozenset[str]]:
    await client.mail(mail.sender)
    accepted: list[str] = []
    later: list[int] = []
    never: list[int] = []
    for recipient in mail.recipients:
        if recipient in already:
            continue
        try:
            await client.rcpt(recipient)
            accepted.append(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            (never if error.code >= _PERMANENT else later).append(error.code)
    if accepted:
        await client.data(mail.content)
    reached = already | frozenset(accepted)
    count = len(mail.recipients)
    if later:
        detail = f"{len(later)} of {count} recipients are to be tried again (status {later[0]})"
        return Retry(reason=FailureReason.SERVER_ERROR, detail=detail), reached
    if never and not reached:
        return Refused(reason=FailureReason.CLIENT_ERROR, detail=f"status {never[0]} for every recipient"), reached
    detail = f"{count - len(never)} of {count} recipients"
    return Sent(detail=f"{detail}, the others refused with status {never[0]}" if never else detail), reached


def _answered(code: int, who: str) -> Outcome:
    detail = f"{who} answered with status {code}"
    if code >= _PERMANENT:
        return Refused(reason=FailureReason.CLIENT_ERROR, detail=detail)
    return Retry(reason=FailureReason.SERVER_ERROR, detail=detail)


async def _closed(client: SMTP) -> None:
    try:
        async with asyncio.timeout(1):
            await client.quit()
    except (SMTPException, OSError, TimeoutError):
        client.close()
