import pytest

from epochly.errors import ConfigurationError, PrivacyError
from epochly.inference.privacy import PrivacyConfig, PrivacyMode, StoragePolicy
from epochly.inference.privacy.modes import DataKind, Place

PERSISTENT = (Place.DISK, Place.SHARED)


def policy(mode: str) -> StoragePolicy:
    return StoragePolicy.of(PrivacyConfig(mode=mode), key_available=True)


@pytest.mark.parametrize("mode", PrivacyMode)
@pytest.mark.parametrize("kind", DataKind)
def test_memory_keeps_everything_in_the_clear(mode: str, kind: DataKind):
    assert policy(mode).permits(kind, Place.MEMORY)
    assert not policy(mode).must_encrypt(kind, Place.MEMORY)


@pytest.mark.parametrize("place", PERSISTENT)
def test_what_each_mode_persists(place: Place):
    kept = {
        mode: {kind for kind in DataKind if policy(mode).permits(kind, place)}
        for mode in PrivacyMode
    }
    decisions = {DataKind.DECISION} if place is Place.DISK else set()

    assert kept == {
        PrivacyMode.EPHEMERAL: decisions,
        PrivacyMode.HASHES_ONLY: decisions | {DataKind.DIGEST},
        PrivacyMode.PERSISTED_ENCRYPTED: decisions | {DataKind.DIGEST, DataKind.CONTENT},
    }


@pytest.mark.parametrize("place", PERSISTENT)
def test_only_content_that_is_persisted_must_be_encrypted(place: Place):
    encrypted = policy("persisted_encrypted")

    assert encrypted.must_encrypt(DataKind.CONTENT, place)
    assert not encrypted.must_encrypt(DataKind.DIGEST, place)


def test_what_may_not_be_stored_is_refused_by_name():
    with pytest.raises(PrivacyError, match="'hashes_only' keeps no content on disk"):
        policy("hashes_only").require(DataKind.CONTENT, Place.DISK)
    with pytest.raises(PrivacyError, match="'ephemeral' keeps no digest on a shared server"):
        policy("ephemeral").must_encrypt(DataKind.DIGEST, Place.SHARED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("persisted",), "must be one of"),
        (("persisted_encrypted", False), "needs an encryption key"),
        (("persisted_encrypted", True, False), "contradicts encrypt_at_rest"),
    ],
)
def test_contradictions_are_refused(arguments: tuple, message: str):
    with pytest.raises(ConfigurationError, match=message):
        StoragePolicy(*arguments)


def test_a_policy_of_a_configuration_needs_its_key():
    config = PrivacyConfig(mode="persisted_encrypted")

    assert StoragePolicy.of(config, key_available=True).mode == "persisted_encrypted"
    with pytest.raises(ConfigurationError, match="encryption_key_source"):
        StoragePolicy.of(config, key_available=False)


def test_without_a_key_there_is_no_encrypted_persistence():
    with pytest.raises(ConfigurationError, match="needs an encryption key"):
        StoragePolicy("persisted_encrypted")
