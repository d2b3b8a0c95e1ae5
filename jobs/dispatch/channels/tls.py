"""TLS of a channel from its configuration."""

import ssl
import tempfile
from pathlib import Path
from typing import Final

from jobs.dispatch.channels.credentials import CredentialError, Reveal
from udfs.alerting.receivers.http import TlsConfig

_VERSIONS: Final = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


def tls_context(config: TlsConfig, folder: Path, reveal: Reveal) -> ssl.SSLContext:
    """Return the context; raises CredentialError, naming the file, for certificates that cannot be used."""
    try:
        context = ssl.create_default_context(
            cafile=str(folder / config.ca_file) if config.ca_file else None, cadata=config.ca or None
        )
    except (OSError, ssl.SSLError):
        raise CredentialError(f"tls_config: {config.ca_file or 'ca'} is no readable certificate") from None
    context.minimum_version = _VERSIONS[config.min_version or "TLS12"]
    if config.max_version:
        context.maximum_version = _VERSIONS[config.max_version]
    if config.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.cert or config.cert_file:
        # Python loads certificates from files alone.
        with tempfile.TemporaryDirectory() as place:
            certificate, key = folder / config.cert_file, folder / config.key_file
            if config.cert:
                certificate = Path(place) / "certificate"
                certificate.write_text(config.cert, encoding="utf-8")
            if config.key is not None:
                key = Path(place) / "key"
                key.touch(mode=0o600)
                key.write_text(reveal(config.key), encoding="utf-8")
            try:
                context.load_cert_chain(certificate, key)
            except (OSError, ssl.SSLError):
                raise CredentialError(
                    "tls_config: certificate and key cannot be read or do not belong together"
                ) from None
    return context
