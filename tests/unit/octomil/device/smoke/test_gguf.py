"""A real language model is tried as it would be served."""

from pathlib import Path

import pytest

from octomil.config import Settings
from octomil.device.smoke.gguf import try_gguf
from octomil.device.smoke.trial import FailedTrialError
from octomil.models.pull import ModelStore
from support.models import model_cache_dir


@pytest.fixture(scope="module")
def gguf() -> Path:
    return ModelStore(Settings(cache_dir=model_cache_dir())).pull("smollm2-135m").path


@pytest.mark.model
def test_a_model_that_writes_passes_and_its_half_does_not(gguf: Path, tmp_path: Path):
    half = tmp_path / "gguf"
    with gguf.open("rb") as whole:
        half.write_bytes(whole.read(gguf.stat().st_size // 2))

    try_gguf(gguf)
    with pytest.raises(FailedTrialError, match=r"llama\.cpp cannot run it"):
        try_gguf(half)
