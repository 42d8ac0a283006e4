"""The names of audit events (contract §7); nothing else is ever written as one."""

from __future__ import annotations

from enum import StrEnum


class AuditName(StrEnum):
    """What can happen to a person's session."""

    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_THROTTLED = "login.throttled"
    LOGOUT_LOCAL = "logout.local"
    LOGOUT_ALL = "logout.all"
    LOGOUT_BACKCHANNEL = "logout.backchannel"
    LOGOUT_FRONTCHANNEL = "logout.frontchannel"
    LOGOUT_ADMIN = "logout.admin"
    LOGOUT_REJECTED = "logout.rejected"
    SESSION_EXPIRED = "session.expired"
    SESSION_REVOKED = "session.revoked"
    REFRESH_FAILED = "refresh.failed"
    ACCESS_DENIED = "access.denied"


class Kind(StrEnum):
    """What a line of the log is; every line says it."""

    REQUEST = "request"
    AUDIT = "audit"
    MESSAGE = "message"
