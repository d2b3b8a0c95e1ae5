"""Requests to Amazon, signed (Signature Version 4) by whose they are and sent as those of any other channel."""

import asyncio
from pathlib import Path
from typing import Final

import botocore.config
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import AssumeRoleCredentialFetcher, Credentials, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from msgspec.structs import replace

from jobs.dispatch.channels.credentials import CredentialError, revealed
from udfs.alerting.messages.context import HttpRequest
from udfs.alerting.receivers.secret import Secret
from udfs.alerting.receivers.sns import SnsConfig

_SESSION_NAME: Final = "llm-sentinel"


class AwsSigner:
    """Signs the requests of one channel.

    Where none are configured, credentials come from where Amazon's own programs find them: environment, `~/.aws`, the
    instance's role.
    """

    def __init__(self, config: SnsConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._session: botocore.session.Session | None = None
        self._url = ""
        self._lender: DeferredRefreshableCredentials | None = None

    async def signed(self, request: HttpRequest) -> HttpRequest:
        """Return a request with its signature, to the region's address if it has none; raises CredentialError."""
        try:
            # Credentials may be asked for over the network, and Amazon's library does not wait without blocking.
            return await asyncio.to_thread(self._signed, request)
        except (BotoCoreError, ClientError) as error:
            raise CredentialError(f"sigv4: {error}") from None

    def _signed(self, request: HttpRequest) -> HttpRequest:
        session = self._opened()
        region = self._config.sigv4.region or session.get_config_variable("region")
        if not region:
            raise CredentialError("sigv4: no region is configured, and the environment names none (AWS_REGION)")
        url = request.url.reveal_text() or self._regional(session, region)
        signed = AWSRequest(request.method, url, data=request.body, headers={"Content-Type": request.content_type})
        SigV4Auth(self._credentials(session, region), "sns", region).add_auth(signed)
        headers = tuple((name, Secret(value)) for name, value in signed.headers.items() if name != "Content-Type")
        return replace(request, url=Secret(url), headers=headers)

    def _regional(self, session: botocore.session.Session, region: str) -> str:
        if not self._url:
            self._url = session.create_client("sns", region_name=region).meta.endpoint_url
        return self._url

    def _opened(self) -> botocore.session.Session:
        if self._session is None:
            self._session = botocore.session.Session(profile=self._config.sigv4.profile or None)
        return self._session

    def _credentials(self, session: botocore.session.Session, region: str) -> Credentials:
        sigv4 = self._config.sigv4
        if sigv4.secret_key is not None:
            source = Credentials(sigv4.access_key, revealed(sigv4.secret_key, self._folder))
        else:
            source = session.get_credentials()
        if source is None:
            raise CredentialError(
                "sigv4: there are no credentials of Amazon, neither configured nor in the environment"
            )
        if not sigv4.role_arn:
            return source
        if self._lender is None:

            def sts_client(service: str, **options: object) -> object:
                return session.create_client(
                    service,
                    region_name=region,
                    config=botocore.config.Config(use_fips_endpoint=sigv4.use_fips_sts_endpoint or None),
                    **options,
                )

            extra = {"RoleSessionName": _SESSION_NAME}
            if sigv4.external_id:
                extra["ExternalId"] = sigv4.external_id
            fetcher = AssumeRoleCredentialFetcher(sts_client, source, sigv4.role_arn, extra_args=extra)
            self._lender = DeferredRefreshableCredentials(fetcher.fetch_credentials, method="assume-role")
        return self._lender
