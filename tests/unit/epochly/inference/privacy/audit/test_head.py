import json
import stat

import pytest

from epochly.inference.privacy.audit.head import (
    HEAD_NAME,
    Head,
    HeadError,
    parse_head,
    read_head,
    write_head,
)

KEY = b"k" * 32
HEAD = Head(3, "ab" * 32, "00000001-2026-01-01.jsonl", 120, keyed=True)
PLAIN = Head(3, "ab" * 32, "00000001-2026-01-01.jsonl", 120, keyed=False)


@pytest.mark.parametrize(("head", "key"), [(HEAD, KEY), (PLAIN, None)])
def test_a_head_is_read_back(tmp_path, head: Head, key: bytes | None):
    assert read_head(tmp_path, key) is None

    write_head(tmp_path, head, key)

    assert read_head(tmp_path, key) == head
    assert [path.name for path in tmp_path.iterdir()] == [HEAD_NAME]
    assert stat.S_IMODE((tmp_path / HEAD_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        (HEAD.sealed(KEY), None, "none was given"),
        (PLAIN.sealed(None), KEY, "begun without a key"),
        (HEAD.sealed(KEY), b"x" * 32, "another key"),
        (HEAD.sealed(KEY).replace(b'"sequence":3', b'"sequence":2'), KEY, "edited"),
        (PLAIN.sealed(None).replace(b'"offset":120', b'"offset":12'), None, "edited"),
        (PLAIN.sealed(None) + b" ", None, "edited"),
        (b"", None, "damaged"),
        (b"[]", None, "damaged"),
        (b"{}", None, "damaged"),
        (b'{"seal":"","x":1}', None, "damaged"),
        (PLAIN.sealed(None).replace(b'"sequence":3', b'"sequence":"3"'), None, "damaged"),
    ],
)
def test_a_head_that_is_not_right_says_why(data: bytes, key: bytes | None, message: str):
    with pytest.raises(HeadError, match=message):
        parse_head(data, key)


def test_a_seal_cannot_be_made_without_the_key():
    fields = json.loads(HEAD.sealed(KEY)) | {"sequence": 1}
    fields.pop("seal")

    with pytest.raises(HeadError, match="edited"):
        parse_head(Head(**fields).sealed(b"guess" * 6 + b"xx"), KEY)
