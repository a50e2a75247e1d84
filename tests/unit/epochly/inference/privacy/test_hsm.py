"""The key from a PKCS#11 token; a real one in software where SoftHSM2 is installed."""

import hmac
import shutil
import subprocess
from pathlib import Path

import pytest

from epochly.errors import KeyUnavailableError
from epochly.inference.privacy.hsm import HsmKey
from epochly.inference.privacy.keys import derive_key, key_source

PIN = "1234"
FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")
LIBRARIES = [
    path for folder in FOLDERS for path in sorted(Path(folder).glob("**/softhsm/libsofthsm2.so"))
]
LIBRARY = next(iter(LIBRARIES), None)


pytestmark = pytest.mark.optional


@pytest.fixture(scope="session")
def token(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch_session: pytest.MonkeyPatch
) -> tuple[str, str]:
    """A fresh token of SoftHSM2: its library and label. The library is loaded once a process."""
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    if LIBRARY is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM2 is not installed on this machine")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    monkeypatch_session.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
    words = ["softhsm2-util", "--init-token", "--free", "--label", "epochly-test"]
    subprocess.run([*words, "--pin", PIN, "--so-pin", "5678"], check=True, capture_output=True)
    return str(LIBRARY), "epochly-test"


def test_material_is_derived_in_the_token_and_always_the_same(token):
    key = HsmKey(*token, PIN, "stable")
    key.create()

    material = key.load()

    assert len(material) == 32
    assert material == HsmKey(*token, PIN, "stable").load()
    assert len(derive_key(material, "audit")) == 32


def test_two_keys_of_a_token_give_different_material(token):
    keys = [HsmKey(*token, PIN, label) for label in ("one", "two")]
    for key in keys:
        key.create()

    assert keys[0].load() != keys[1].load()


def test_a_key_is_never_made_twice(token):
    key = HsmKey(*token, PIN, "once")
    key.create()

    with pytest.raises(KeyUnavailableError, match="holds a key 'once' already"):
        key.create()


def test_a_key_that_can_be_read_out_is_refused(token):
    import pkcs11

    opened = pkcs11.lib(token[0]).get_token(token_label=token[1]).open(rw=True, user_pin=PIN)
    with opened as session:
        session.generate_key(
            pkcs11.KeyType.GENERIC_SECRET,
            256,
            label="leaky",
            store=True,
            capabilities=pkcs11.MechanismFlag.SIGN,
            mechanism=pkcs11.Mechanism.GENERIC_SECRET_KEY_GEN,
            template={pkcs11.Attribute.SENSITIVE: False, pkcs11.Attribute.EXTRACTABLE: True},
        )

    with pytest.raises(KeyUnavailableError, match="can be read out"):
        HsmKey(*token, PIN, "leaky").load()


def test_the_material_of_a_known_secret_never_changes(token):
    """Else what was encrypted by an older version could not be read."""
    import pkcs11

    secret = bytes(range(32))
    opened = pkcs11.lib(token[0]).get_token(token_label=token[1]).open(rw=True, user_pin=PIN)
    with opened as session:
        session.create_object(
            {
                pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.GENERIC_SECRET,
                pkcs11.Attribute.LABEL: "known",
                pkcs11.Attribute.VALUE: secret,
                pkcs11.Attribute.TOKEN: True,
                pkcs11.Attribute.SIGN: True,
                pkcs11.Attribute.SENSITIVE: True,
                pkcs11.Attribute.EXTRACTABLE: False,
            }
        )

    message = b"\0\0\0\1" + b"epochly" + b"\0" + b"hsm key material" + b"\0\0\1\0"
    assert HsmKey(*token, PIN, "known").load() == hmac.digest(secret, message, "sha256")


def test_a_wrong_pin_and_an_unknown_key_or_token_are_named(token):
    library, label = token
    with pytest.raises(KeyUnavailableError, match="PinIncorrect"):
        HsmKey(library, label, "0000").load()
    with pytest.raises(KeyUnavailableError, match="NoSuchKey"):
        HsmKey(library, label, PIN, "absent").load()
    with pytest.raises(KeyUnavailableError, match="'nowhere'"):
        HsmKey(library, "nowhere", PIN).load()


def test_the_source_is_opened_by_its_documented_name(token):
    HsmKey(*token, PIN).create()
    environ = {
        "EPOCHLY_HSM_MODULE": token[0],
        "EPOCHLY_HSM_TOKEN": token[1],
        "EPOCHLY_HSM_PIN": PIN,
    }

    assert key_source("hsm", environ).load() == HsmKey(*token, PIN).load()
    with pytest.raises(KeyUnavailableError, match="'other'"):
        key_source("hsm", environ | {"EPOCHLY_HSM_KEY_LABEL": "other"}).load()


def test_missing_settings_are_named():
    with pytest.raises(KeyUnavailableError, match="EPOCHLY_HSM_TOKEN, EPOCHLY_HSM_PIN"):
        key_source("hsm", {"EPOCHLY_HSM_MODULE": "softhsm2.so"})


def test_a_library_that_cannot_be_loaded_is_named(tmp_path):
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")

    with pytest.raises(KeyUnavailableError, match=r"absent\.so"):
        HsmKey(tmp_path / "absent.so", "token", PIN).load()
