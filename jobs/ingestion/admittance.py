"""Admittance: who calls, asked before anything of a request is read."""

import asyncio

from jobs.ingestion.auth.caller import Caller, Credentials, ForbiddenError, UnauthenticatedError
from jobs.ingestion.auth.gatekeeper import Gatekeeper
from jobs.ingestion.outcome import Refusal, RefusedError


async def admitted(gatekeeper: Gatekeeper, credentials: Credentials) -> Caller:
    """Return who calls; raises RefusedError (unauthenticated, forbidden)."""
    try:
        if gatekeeper.takes_time(credentials):
            return await asyncio.to_thread(gatekeeper.caller, credentials)
        return gatekeeper.caller(credentials)
    except UnauthenticatedError as problem:
        raise RefusedError(Refusal.UNAUTHENTICATED, str(problem)) from None
    except ForbiddenError as problem:
        raise RefusedError(Refusal.FORBIDDEN, str(problem)) from None
