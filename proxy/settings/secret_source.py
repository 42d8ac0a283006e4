"""Where a secret stands: a file, a variable of the environment, or the settings file itself.

A source is not the secret. It is read each time somebody asks, so that a file that was exchanged (a rotated client
secret, a Kubernetes volume) counts at once and nobody has to be told. A read costs some microseconds of a local file;
it never happens on the way of a request.
"""

from __future__ import annotations

import binascii
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic import model_validator as validate_model

from proxy.core.secret import Secret
from proxy.errors import SettingsError
from proxy.settings.problems import ValueRefused
from proxy.settings.values import parse_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

KEY_BYTES: Final = 32
"""AES-256 (NIST SP 800-38D): the length of a session key."""

LARGEST_SECRET_BYTES: Final = 64 * 1024
"""A secret is a line or a PEM file; more is a wrong path (``/dev/zero``, a database)."""


def parse_secret_text(value: object) -> Secret:
    """Wrap text at once, so that no error, log or repr can show it."""
    if not isinstance(value, str) or not value:
        raise ValueRefused("must be text that is not empty", "put it in quotes")
    return Secret(str(value))


SecretText = Annotated[
    Secret,
    PlainValidator(parse_secret_text),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
SourceName = Annotated[str, BeforeValidator(parse_text)]


class SecretSource(BaseModel):
    """Exactly one of file, env and value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    file: SourceName | None = Field(
        default=None,
        description="Path of a file that holds the secret; one line break at its end does not count. "
        "Read again when it changes.",
        examples=["/run/secrets/client"],
    )
    env: SourceName | None = Field(
        default=None, description="Name of an environment variable that holds the secret.", examples=["CLIENT_SECRET"]
    )
    value: SecretText | None = Field(
        default=None, description="The secret itself. `check` warns, for settings files are copied and committed."
    )

    @validate_model(mode="after")
    def _one_source(self) -> Self:
        """Refuse none and several: nobody could say which counts."""
        given = [name for name in ("file", "env", "value") if getattr(self, name) is not None]
        if len(given) != 1:
            message = f"has {' and '.join(given)} together" if given else "names no source"
            raise ValueRefused(message, "write exactly one of {file: PATH}, {env: NAME}, {value: TEXT}")
        return self

    def read(self) -> Secret:
        """Return the secret as it is now; one line break at the end of a file does not count.

        Raises:
            SettingsError: the file cannot be read, the variable is not set, or either is empty.
        """
        if self.value is not None:
            return self.value
        text = _text_of_variable(self.env) if self.env is not None else _text_of_file(Path(self.file or ""))
        if not text:
            raise SettingsError(f"{self} is empty; put the secret there")
        return Secret(text)

    def read_key(self) -> bytes:
        """Return a session key of 32 bytes, as ``sidegate keygen`` writes it.

        Raises:
            SettingsError: as :meth:`read`, or the text is no such key.
        """
        text = self.read().reveal().strip()
        try:
            # The alphabet is checked by hand: urlsafe_b64decode passes over what it does not know.
            key = urlsafe_b64decode(text + "=" * (-len(text) % 4)) if _is_base64url(text) else b""
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise SettingsError(f"{self} is no session key of {KEY_BYTES} bytes; make one with `sidegate keygen`")
        return key

    def read_signing_keys(self) -> tuple[EllipticCurvePrivateKey, ...]:
        """Return the keys that sign the identity assertion, the one that signs first.

        Raises:
            SettingsError: as :meth:`read`, or the text is no PEM with P-256 keys.
        """
        from proxy.settings.signing_keys import parse_signing_keys  # noqa: PLC0415 - cryptography is slow to import

        text = self.read().reveal()
        try:
            return parse_signing_keys(text)
        except SettingsError as error:
            raise SettingsError(f"in {self} {error}") from error

    def __str__(self) -> str:
        """Name the source, never the secret."""
        if self.file is not None:
            return f"the file {self.file}"
        return f"the variable {self.env}" if self.env is not None else "the value"


def make_key(random_bytes: Callable[[int], bytes]) -> str:
    """Return a fresh session key as ``encryption_keys`` takes it: base64url without padding (RFC 4648 §5)."""
    return urlsafe_b64encode(random_bytes(KEY_BYTES)).decode().rstrip("=")


def _is_base64url(text: str) -> bool:
    """Say whether each character belongs to base64url, padding at the end included."""
    return text.rstrip("=").replace("-", "").replace("_", "").isalnum() and text.isascii()


def _text_of_variable(name: str) -> str:
    """Return the value of a variable of the environment."""
    try:
        return os.environ[name]
    except KeyError as error:
        raise SettingsError(f"the variable {name} is not set; set it in the environment of sidegate") from error


def _text_of_file(path: Path) -> str:
    """Return the text of a small file, without one line break at its end."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_SECRET_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"the file {path} cannot be read ({reason_of(error)}); {remedy_for(error)}") from error
    if len(content) > LARGEST_SECRET_BYTES:
        raise SettingsError(f"the file {path} is too large for a secret; check the path")
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise SettingsError(f"the file {path} is not UTF-8 text; write the secret as text") from error


def reason_of(error: OSError) -> str:
    """Return why a file cannot be read, in lower case words."""
    return (error.strerror or type(error).__name__).lower()


def remedy_for(error: OSError) -> str:
    """Return what to do about a file that cannot be read."""
    if isinstance(error, PermissionError):
        return "let the user that runs sidegate read it"
    return "check the path"
