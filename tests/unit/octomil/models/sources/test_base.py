import pytest

from octomil.errors import DigestMismatchError
from octomil.models.partial import Partial
from octomil.models.sources.base import FetchTask, Silent


def test_the_promised_digest_passes_and_another_deletes_everything(tmp_path):
    partial = Partial(tmp_path / "tiny.partial")
    partial.begin("here")
    task = FetchTask(name="tiny", files=(), partial=partial)

    task.require_digest("a.bin", promised="aa", arrived="aa")
    assert partial.folder.exists()

    with pytest.raises(DigestMismatchError, match=r"a\.bin of tiny .* expected digest aa, got bb"):
        task.require_digest("a.bin", promised="aa", arrived="bb")
    assert not partial.folder.exists()


def test_a_silent_sink_says_nothing(capsys):
    sink = Silent()
    sink.advance("tiny", 1, 2)
    sink.note("hello")

    assert capsys.readouterr() == ("", "")
