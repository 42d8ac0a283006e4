"""Whatever section names a certificate, its end is watched."""

from __future__ import annotations

from pathlib import Path

from proxy.settings import schema
from proxy.settings.certificate_files import ENDINGS, certificate_files
from proxy.settings.model import Settings
from tests.settings.test_schema import paths_of_model

NOT_OF_CERTIFICATES = {"key_file", "logo_file", "icon_file", "token_file"}


def test_files_are_found_in_every_depth_after_their_keys() -> None:
    settings = Settings.model_validate(
        {
            "server": {"public_url": "http://app.test", "tls": {"cert_file": "/s.crt", "key_file": "/s.key"}},
            "keycloak": {
                "issuer": "https://sso.test/realms/acme",
                "client_id": "app",
                "client_auth": {"secret": {"value": "x"}},
                "ca_file": "/sso.pem",
            },
            "upstreams": {"app": {"url": "https://app", "tls": {"ca_file": "/app.pem"}}},
        }
    )

    assert dict(certificate_files(settings)) == {
        "server.tls.cert_file": Path("/s.crt"),
        "keycloak.ca_file": Path("/sso.pem"),
        "upstreams.app.tls.ca_file": Path("/app.pem"),
    }


def test_no_key_names_certificates_by_another_ending() -> None:
    assert schema.keys_at(("server", "tls"))
    files = {str(path[-1]) for path in paths_of_model() if str(path[-1]).endswith("_file")}

    assert {name for name in files if not name.endswith(ENDINGS)} == NOT_OF_CERTIFICATES
