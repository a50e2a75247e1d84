import hashlib
import random

import pytest

from octomil.errors import (
    ConfigurationError,
    DigestMismatchError,
    InsufficientSpaceError,
    ModelUnavailableError,
)
from octomil.http.retry import Backoff
from octomil.models.catalog import HubFiles, ModelFile
from octomil.models.partial import Partial
from octomil.models.sources.base import FetchTask
from octomil.models.sources.huggingface import HuggingFaceSource
from support.hub import COMMIT, HubFile, running_hub
from support.models import MIB

DATA = random.Random(5).randbytes(2 * MIB + 123)
SHA256 = hashlib.sha256(DATA).hexdigest()
SPEC = HubFiles("acme/tiny", {"model.gguf": "tiny.gguf"})
FILES = (ModelFile(name="model.gguf", size_bytes=0),)


@pytest.fixture
def hub():
    with running_hub() as hub:
        hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA)
        yield hub


@pytest.fixture
def partial(tmp_path):
    partial = Partial(tmp_path / "tiny.partial")
    partial.begin("here")
    return partial


class Fetching:
    """One source and what it said and slept while fetching."""

    def __init__(self, hub, partial, spec=SPEC, **options):
        self.slept: list[float] = []
        self.notes: list[str] = []
        self.reports: list[tuple[int, int]] = []
        self.partial = partial
        self.source = HuggingFaceSource(
            spec,
            endpoint=hub if isinstance(hub, str) else hub.url,
            sleep=self.slept.append,
            rng=random.Random(3),
            **options,
        )

    def run(self, *, pinned=None, files=FILES):
        task = FetchTask(
            name="hf:acme/tiny/tiny.gguf",
            files=files,
            partial=self.partial,
            pinned=pinned or {},
            report=lambda done, total: self.reports.append((done, total)),
            note=self.notes.append,
        )
        return self.source.fetch(task)

    @property
    def bytes(self):
        return (self.partial.folder / "model.gguf").read_bytes()


def test_a_file_is_fetched_verified_and_described(hub, partial):
    fetching = Fetching(hub, partial)

    (file,) = fetching.run().values()

    assert fetching.bytes == DATA
    assert (file.sha256, file.size_bytes) == (SHA256, len(DATA))
    assert file.origin["commit"] == COMMIT
    assert file.origin["etag"] == SHA256
    assert fetching.reports[0] == (0, len(DATA))
    assert fetching.reports[-1] == (len(DATA), len(DATA))


def test_bytes_of_an_earlier_try_are_not_asked_for_again(hub, partial):
    (partial.folder / "model.gguf").write_bytes(DATA[: MIB + 7])
    partial.record("model.gguf", etag=SHA256)
    fetching = Fetching(hub, partial)

    fetching.run()

    assert fetching.bytes == DATA
    assert [seen.range for seen in hub.body_requests()] == [f"bytes={MIB + 7}-"]
    assert fetching.reports[0] == (MIB + 7, len(DATA))


def test_a_file_that_is_there_already_is_only_verified(hub, partial):
    (partial.folder / "model.gguf").write_bytes(DATA)
    partial.record("model.gguf", etag=SHA256)

    Fetching(hub, partial).run()

    assert hub.body_requests() == []


def test_a_changed_etag_starts_again(hub, partial):
    (partial.folder / "model.gguf").write_bytes(b"x" * MIB)
    partial.record("model.gguf", etag="0" * 64)
    fetching = Fetching(hub, partial)

    fetching.run()

    assert fetching.bytes == DATA
    assert [seen.range for seen in hub.body_requests()] == [None]


def test_leftovers_longer_than_the_file_start_again(hub, partial):
    (partial.folder / "model.gguf").write_bytes(DATA + b"more")
    partial.record("model.gguf", etag=SHA256)
    fetching = Fetching(hub, partial)

    fetching.run()

    assert fetching.bytes == DATA


def test_a_cut_connection_is_resumed_in_place(hub, partial):
    hub.cuts.extend([MIB, MIB // 2])
    fetching = Fetching(hub, partial)

    fetching.run()

    assert fetching.bytes == DATA
    assert len(fetching.slept) == 2
    ranges = [seen.range for seen in hub.body_requests()]
    assert ranges[0] is None
    assert all(r.startswith("bytes=") and r != "bytes=0-" for r in ranges[1:])


def test_progress_between_cuts_allows_any_number_of_them(hub, partial):
    hub.cuts.extend([MIB // 4] * 7)
    fetching = Fetching(hub, partial, backoff=Backoff(attempts=2))

    fetching.run()

    assert fetching.bytes == DATA


def test_a_server_without_ranges_is_started_again(hub, partial):
    hub.ignores_ranges = True
    hub.cuts.append(MIB)
    fetching = Fetching(hub, partial)

    fetching.run()

    assert fetching.bytes == DATA


def test_waiting_follows_the_servers_wish_and_is_announced(hub, partial):
    hub.fail_next(429, Retry_After="7")
    hub.fail_next(503)
    fetching = Fetching(hub, partial)

    fetching.run()

    assert fetching.slept[0] == 7.0
    assert 0 < fetching.slept[1] <= 1.0
    assert "429" in fetching.notes[0]


def test_a_server_that_stays_broken_ends_in_a_bounded_number_of_tries(hub, partial):
    hub.fail_next(500, times=50)
    fetching = Fetching(hub, partial, backoff=Backoff(attempts=4))

    with pytest.raises(ModelUnavailableError, match=r"500.*HF_ENDPOINT"):
        fetching.run()

    assert len(hub.seen) == 4


def test_no_network_says_what_was_tried(partial):
    fetching = Fetching("http://127.0.0.1:9", partial)

    with pytest.raises(ModelUnavailableError, match=r"http://127\.0\.0\.1:9.*Check the network"):
        fetching.run()


def test_wrong_bytes_are_deleted_and_both_digests_named(hub, partial):
    hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA, etag="a" * 64)

    with pytest.raises(DigestMismatchError, match=f"expected digest {'a' * 64}, got {SHA256}"):
        Fetching(hub, partial).run()

    assert not partial.folder.exists()


def test_more_bytes_than_promised_are_refused(hub, partial):
    hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA, size=MIB)

    with pytest.raises(DigestMismatchError, match=f"more than the {MIB} bytes"):
        Fetching(hub, partial).run()

    assert not partial.folder.exists()


def test_another_digest_than_recorded_is_refused_before_any_byte(hub, partial):
    with pytest.raises(DigestMismatchError, match=r"recorded was b{64}.*pull --force") as caught:
        Fetching(hub, partial).run(pinned={"model.gguf": "b" * 64})

    assert SHA256 in str(caught.value)
    assert hub.body_requests() == []


def test_a_small_file_is_checked_against_its_git_blob_id(hub, partial):
    hub.files["acme/tiny/tiny.gguf"] = HubFile(b"small", lfs=False)
    fetching = Fetching(hub, partial)

    (file,) = fetching.run().values()
    assert fetching.bytes == b"small"
    assert file.sha256 == hashlib.sha256(b"small").hexdigest()

    hub.files["acme/tiny/tiny.gguf"] = HubFile(b"small", lfs=False, etag="c" * 40)
    partial.begin("again")
    with pytest.raises(DigestMismatchError, match="c" * 40):
        Fetching(hub, partial).run()


def test_without_a_digest_leftovers_are_not_trusted_and_cuts_are_guarded(hub, partial):
    hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA, lfs=False, etag="opaque-1")
    (partial.folder / "model.gguf").write_bytes(b"x" * 1000)
    partial.record("model.gguf", etag="opaque-1")
    hub.cuts.append(MIB)
    fetching = Fetching(hub, partial)

    fetching.run()

    assert fetching.bytes == DATA
    gets = [seen for seen in hub.seen if seen.method == "GET"]
    assert [seen.range is None for seen in gets] == [True, False]
    assert gets[1].if_range == '"opaque-1"'


def test_an_unknown_size_is_read_to_the_end(hub, partial):
    hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA, tells_size=False)
    fetching = Fetching(hub, partial)

    fetching.run()

    assert fetching.bytes == DATA
    assert fetching.reports[-1] == (len(DATA), 0)


def test_a_renamed_repository_is_found(hub, partial):
    hub.moved["old/tiny"] = "acme/tiny"
    spec = HubFiles("old/tiny", {"model.gguf": "tiny.gguf"})
    fetching = Fetching(hub, partial, spec)

    fetching.run()

    assert fetching.bytes == DATA


def test_a_repository_that_moves_in_circles_is_given_up(hub, partial):
    hub.moved.update({"acme/tiny": "old/tiny", "old/tiny": "acme/tiny"})

    with pytest.raises(ModelUnavailableError, match="only ever redirects"):
        Fetching(hub, partial).run()


def test_a_gated_file_names_the_token(hub, partial):
    hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA, gated=True)
    hub.token = "hf_right"

    with pytest.raises(ModelUnavailableError, match=r"gated.*401.*HF_TOKEN"):
        Fetching(hub, partial).run()
    with pytest.raises(ModelUnavailableError, match=r"gated.*403.*HF_TOKEN"):
        Fetching(hub, partial, token="hf_wrong").run()

    fetching = Fetching(hub, partial, token="hf_right")
    fetching.run()
    assert fetching.bytes == DATA


@pytest.mark.parametrize(
    ("repo", "path", "message"),
    [
        ("acme/tiny", "other.gguf", "no other.gguf in acme/tiny.*tree/main"),
        ("acme/none", "tiny.gguf", "no repository acme/none"),
    ],
)
def test_what_does_not_exist_is_named(hub, partial, repo, path, message):
    with pytest.raises(ModelUnavailableError, match=message):
        Fetching(hub, partial, HubFiles(repo, {"model.gguf": path})).run()


def test_a_file_larger_than_the_disk_is_refused_before_any_byte(hub, partial):
    hub.files["acme/tiny/tiny.gguf"] = HubFile(DATA, size=10**18)

    with pytest.raises(InsufficientSpaceError, match="needs 1000000000"):
        Fetching(hub, partial).run()

    assert hub.body_requests() == []


def test_an_endpoint_that_is_no_address_is_a_setting_at_fault(partial):
    with pytest.raises(ConfigurationError, match="HF_ENDPOINT"):
        Fetching("huggingface.co", partial)


def test_several_files_share_one_progress(hub, partial):
    hub.files["acme/tiny/tokenizer.json"] = HubFile(b"{}", lfs=False)
    spec = HubFiles("acme/tiny", {"model.gguf": "tiny.gguf", "tokenizer.json": "tokenizer.json"})
    fetching = Fetching(hub, partial, spec)

    fetched = fetching.run(files=(*FILES, ModelFile(name="tokenizer.json", size_bytes=0)))

    assert set(fetched) == {"model.gguf", "tokenizer.json"}
    assert fetching.reports[-1] == (len(DATA) + 2, len(DATA) + 2)
    assert [done for done, _ in fetching.reports] == sorted(done for done, _ in fetching.reports)
