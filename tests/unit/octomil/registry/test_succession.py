"""Which keys a device follows to, whatever it is shown."""

from octomil.registry.manifest import PAYLOAD_TYPE as MANIFEST
from octomil.registry.signatures import key_id_of, new_private_key, public_key_of, sign
from octomil.registry.succession import Endorsement, ListedKey, endorse, statement, trusted

PRIVATE = [new_private_key() for _ in range(5)]
PUBLIC = [public_key_of(each) for each in PRIVATE]


def successor(number: int) -> ListedKey:
    """The key of that number, endorsed by the one before it."""
    said = endorse(PRIVATE[number - 1], PUBLIC[number])
    return ListedKey(public=PUBLIC[number], endorsement=said)


def numbers(found) -> set[int]:
    assert {key_id_of(public) for public in found.values()} == set(found)
    return {PUBLIC.index(public) for public in found.values()}


def test_a_chain_is_followed_to_its_end_in_whatever_order_it_is_listed():
    listed = [successor(3), successor(1), ListedKey(public=PUBLIC[0]), successor(2)]

    assert numbers(trusted([PUBLIC[0]], listed)) == {0, 1, 2, 3}


def test_what_came_before_is_not_trusted_for_what_came_after():
    assert numbers(trusted([PUBLIC[2]], [successor(1), successor(2), successor(3)])) == {2, 3}


def test_a_gap_in_the_chain_is_not_jumped():
    assert numbers(trusted([PUBLIC[0]], [successor(2), successor(3)])) == {0}


def test_nobody_endorses_itself_into_trust():
    alone = ListedKey(public=PUBLIC[4], endorsement=endorse(PRIVATE[4], PUBLIC[4]))

    assert numbers(trusted([PUBLIC[0]], [alone, ListedKey(public=PUBLIC[3])])) == {0}


def test_a_signature_of_somebody_else_under_the_name_of_a_trusted_key_counts_nothing():
    forged = Endorsement(
        key_id=key_id_of(PUBLIC[0]), signature=endorse(PRIVATE[4], PUBLIC[3]).signature
    )

    assert numbers(trusted([PUBLIC[0]], [ListedKey(public=PUBLIC[3], endorsement=forged)])) == {0}


def test_an_endorsement_of_one_key_is_none_of_another():
    moved = ListedKey(public=PUBLIC[3], endorsement=endorse(PRIVATE[0], PUBLIC[1]))

    assert numbers(trusted([PUBLIC[0]], [moved])) == {0}


def test_the_signature_of_a_manifest_is_no_endorsement():
    signature = sign(PRIVATE[0], MANIFEST, statement(PUBLIC[1]))
    said = Endorsement(key_id=key_id_of(PUBLIC[0]), signature=signature)

    assert numbers(trusted([PUBLIC[0]], [ListedKey(public=PUBLIC[1], endorsement=said)])) == {0}


def test_keys_of_the_wrong_size_do_no_harm():
    said = endorse(PRIVATE[0], b"short")

    found = trusted([PUBLIC[0]], [ListedKey(public=b"short", endorsement=said), successor(1)])

    assert PUBLIC[1] in found.values()
    assert trusted([b"not 32 bytes"], [successor(1)]).keys() == {key_id_of(b"not 32 bytes")}
