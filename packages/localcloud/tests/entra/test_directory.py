"""The directory on a database of its own: principals, secrets, and the end of tokens."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest
from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.entra.directory import Directory

_AUDIENCE = "https://management.azure.com"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "home" / "localcloud.db")


def test_secrets_are_kept_as_hashes_and_the_file_is_the_user_s_alone(database: Database, tmp_path: Path) -> None:
    directory = Directory(database)
    principal = directory.create_principal("deployer", secret="open sesame")
    assert directory.has_secret(principal.app_id, "open sesame")
    assert not directory.has_secret(principal.app_id, "open sesam")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = tmp_path / "home" / "localcloud.db"
    assert b"sesame" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0, "it holds the signing key"


def test_a_principal_without_a_secret_cannot_sign_in_with_an_empty_one(database: Database) -> None:
    directory = Directory(database)
    identity = directory.create_principal("identity")
    assert not directory.has_secret(identity.app_id, "")


def test_tokens_survive_a_restart_but_not_their_principal(database: Database) -> None:
    directory = Directory(database)
    principal = directory.create_principal("one")
    header = f"Bearer {directory.issue_token(principal, _AUDIENCE)}"
    again = Directory(database)
    assert again.authenticate(header, frozenset({_AUDIENCE})) == principal
    again.delete_principal(principal.object_id)
    with pytest.raises(ServiceError) as caught:
        again.authenticate(header, frozenset({_AUDIENCE}))
    assert (caught.value.status, caught.value.code) == (401, "InvalidAuthenticationToken")


def test_an_expired_token_is_reported_as_expired(database: Database) -> None:
    directory = Directory(database)
    token = directory.issue_token(directory.create_principal("one"), _AUDIENCE, lifetime_seconds=-60)
    with pytest.raises(ServiceError) as caught:
        directory.authenticate(f"Bearer {token}", frozenset({_AUDIENCE}))
    assert caught.value.code == "ExpiredAuthenticationToken"
    assert "is earlier than current UTC time" in caught.value.message


def test_a_token_that_was_valid_a_moment_ago_expires(database: Database) -> None:
    directory = Directory(database)
    principal = directory.create_principal("one")
    lifetime = 2 - 30  # it is valid for half a minute longer, since clocks differ
    header = f"Bearer {directory.issue_token(principal, _AUDIENCE, lifetime_seconds=lifetime)}"
    assert directory.authenticate(header, frozenset({_AUDIENCE})) == principal
    deadline = time.monotonic() + 20
    with pytest.raises(ServiceError) as caught:
        while time.monotonic() < deadline:
            directory.authenticate(header, frozenset({_AUDIENCE}))
            time.sleep(0.05)
    assert (caught.value.status, caught.value.code) == (401, "ExpiredAuthenticationToken")


def test_a_token_that_was_verified_is_not_one_for_another_audience_or_of_a_deleted_principal(
    database: Database,
) -> None:
    directory = Directory(database)
    principal = directory.create_principal("one")
    header = f"Bearer {directory.issue_token(principal, _AUDIENCE)}"
    assert directory.authenticate(header, frozenset({_AUDIENCE})) == principal
    with pytest.raises(ServiceError) as caught:
        directory.authenticate(header, frozenset({"https://vault.azure.net"}))
    assert caught.value.code == "InvalidAuthenticationTokenAudience"
    directory.delete_principal(principal.object_id)
    with pytest.raises(ServiceError) as caught:
        directory.authenticate(header, frozenset({_AUDIENCE}))
    assert caught.value.code == "InvalidAuthenticationToken"


def test_a_token_of_another_localcloud_is_refused(database: Database, tmp_path: Path) -> None:
    other = Directory(Database(tmp_path / "other.db"))
    token = other.issue_token(other.create_principal("stranger"), _AUDIENCE)
    with pytest.raises(ServiceError) as caught:
        Directory(database).authenticate(f"Bearer {token}", frozenset({_AUDIENCE}))
    assert caught.value.code == "InvalidAuthenticationToken"


def test_an_unsigned_token_is_refused(database: Database) -> None:
    directory = Directory(database)
    principal = directory.create_principal("one")
    claims = jwt.decode(directory.issue_token(principal, _AUDIENCE), options={"verify_signature": False})
    with pytest.raises(ServiceError) as caught:
        directory.authenticate(f"Bearer {jwt.encode(claims, '', algorithm='none')}", frozenset({_AUDIENCE}))
    assert caught.value.code == "InvalidAuthenticationToken"
