"""What a fault of Redis means."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
import redis.exceptions as library
from redis.asyncio.connection import DefaultParser

from proxy.errors import SettingsError
from proxy.sessions.redis_faults import READS_ONLY, TRANSPORT_FAULTS, UNREACHABLE, FaultKind, fault_of

KEY = "sidegate:s:0123456789abcdef"


def _server_says(text: str) -> BaseException:
    """The library's error for what a server answers."""
    error = DefaultParser.parse_error(text)
    assert isinstance(error, BaseException)
    return error


@pytest.mark.parametrize(
    ("said", "kind", "remedy"),
    [
        ("LOADING Redis is loading the dataset in memory", FaultKind.LOADING, "wait"),
        ("READONLY You can't write against a read only replica.", FaultKind.REPLICA, "primary"),
        ("OOM command not allowed when used memory > 'maxmemory'.", FaultKind.FULL, "memory"),
        ("MISCONF Redis is configured to save RDB snapshots", FaultKind.FULL, "disk"),
        ("NOREPLICAS Not enough good replicas to write.", FaultKind.FULL, "replicas"),
        ("NOAUTH Authentication required.", FaultKind.REFUSED, "sessions.redis.password"),
        ("WRONGPASS invalid username-password pair", FaultKind.REFUSED, "sessions.redis.password"),
        ("ERR invalid password", FaultKind.REFUSED, "sessions.redis.password"),
        ("NOPERM this user has no permissions to run the 'evalsha' command", FaultKind.FORBIDDEN, "run EVALSHA"),
        ("NOPERM No permissions to access a key", FaultKind.FORBIDDEN, "keys or channels under our prefix"),
        ("MOVED 866 127.0.0.1:7001", FaultKind.CLUSTER_DOWN, "sessions.redis.cluster"),
        ("CLUSTERDOWN The cluster is down", FaultKind.CLUSTER_DOWN, "CLUSTER INFO"),
        ("MASTERDOWN Link with MASTER is down", FaultKind.REPLICA, "primary"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", FaultKind.WRONG_TYPE, "key_prefix"),
        ("BUSY Redis is busy running a script.", FaultKind.AWAY, "script"),
        ("ERR max number of clients reached", FaultKind.AWAY, "maxclients"),
        ("ERR unknown command 'FOO'", FaultKind.OTHER, "with ERR"),
        ("SURPRISE", FaultKind.OTHER, "with SURPRISE"),
    ],
)
def test_each_word_of_a_server_has_its_kind_and_its_remedy(said: str, kind: FaultKind, remedy: str) -> None:
    fault = fault_of(_server_says(said))

    assert fault.kind is kind
    assert remedy in fault.sentence


def test_a_socket_that_refuses_is_told_in_the_words_of_the_system() -> None:
    wrapped = library.ConnectionError("Error 111 connecting to h:1.")
    wrapped.__context__ = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('h', 1)")

    assert fault_of(wrapped).sentence.startswith("no connection (Connection refused)")


def test_a_write_after_a_reset_finds_nobody_whatever_the_loop_calls_it() -> None:
    of_uvloop = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    assert isinstance(of_uvloop, TRANSPORT_FAULTS)
    assert fault_of(of_uvloop).kind is FaultKind.AWAY


def test_a_name_that_nobody_knows_is_told_in_the_words_of_the_resolver() -> None:
    wrapped = library.ConnectionError("Error -2")
    wrapped.__context__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert "Name or service not known" in fault_of(wrapped).sentence


def test_a_certificate_that_is_not_accepted_is_no_mere_absence() -> None:
    untrusted = ssl.SSLCertVerificationError(1, "unable to get local issuer certificate")
    untrusted.verify_message = "unable to get local issuer certificate"
    wrapped = library.ConnectionError("Error 1 connecting")
    wrapped.__context__ = untrusted

    fault = fault_of(wrapped)

    assert fault.kind is FaultKind.TLS
    assert "unable to get local issuer certificate" in fault.sentence
    assert "ca_file" in fault.sentence


@pytest.mark.parametrize("error", [library.TimeoutError("Timeout reading"), TimeoutError()])
def test_a_server_that_hangs_does_not_answer_in_time(error: BaseException) -> None:
    fault = fault_of(error)

    assert fault.kind is FaultKind.AWAY
    assert "does not answer in time" in fault.sentence


def test_a_password_that_cannot_be_read_is_named() -> None:
    wrapped = library.AuthenticationError("x")
    wrapped.__cause__ = SettingsError("/run/secrets/redis is missing")

    assert "/run/secrets/redis is missing" in fault_of(wrapped).sentence


def test_what_is_behind_a_demotion_is_a_replica() -> None:
    demoted = library.ConnectionError("The previous master is now a slave")
    demoted.__context__ = _server_says("READONLY You can't write against a read only replica.")

    assert fault_of(demoted).kind is FaultKind.REPLICA


def test_nodes_that_send_one_another_in_circles_are_a_cluster_that_is_down() -> None:
    assert fault_of(library.ClusterError("TTL exhausted.")).kind is FaultKind.CLUSTER_DOWN
    assert fault_of(library.RedisClusterException("All slots are not covered")).kind is FaultKind.CLUSTER_DOWN


def test_what_does_not_speak_the_protocol_is_not_redis() -> None:
    assert "protocol" in fault_of(library.InvalidResponse("Protocol error, got 'H'")).sentence


def test_no_sentence_repeats_what_we_sent() -> None:
    said = f"ERR unknown command 'X', with args beginning with: '{KEY}' 'hunter2'"

    sentence = fault_of(_server_says(said)).sentence

    assert KEY not in sentence
    assert "hunter2" not in sentence


def test_a_circle_of_causes_ends() -> None:
    first, second = library.RedisError("first"), library.RedisError("second")
    first.__context__, second.__context__ = second, first

    assert fault_of(first).kind is FaultKind.OTHER


def test_no_kind_is_met_both_by_a_ping_and_by_a_write_only() -> None:
    assert not UNREACHABLE & READS_ONLY
