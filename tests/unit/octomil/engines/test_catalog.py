"""Which engine runs what, and what is said of one that does not."""

import pytest

from octomil.engines.catalog import engine_name, find_engine
from octomil.engines.packages import require_packages
from octomil.errors import ConfigurationError, MissingDependencyError, NoEngineError
from octomil.models.references import parse_reference

CHAT, EMBEDDER = parse_reference("smollm2-135m"), parse_reference("all-minilm-l6-v2")


@pytest.mark.parametrize(
    ("written", "engine"),
    [
        ("llama.cpp", "llama_cpp"),
        ("llama_cpp", "llama_cpp"),
        (" Transformers ", "transformers"),
        ("onnxruntime", "onnxruntime"),
        ("echo", "echo"),
    ],
)
def test_engines_go_by_the_names_that_people_write(written, engine):
    assert find_engine(written) == engine


def test_the_nearest_name_is_suggested():
    with pytest.raises(ConfigurationError, match="did you mean 'transformers'"):
        find_engine("transformer")
    with pytest.raises(ConfigurationError, match="engines: echo, llama_cpp"):
        find_engine("vacuum")


def test_the_format_decides_unless_an_engine_is_named():
    assert engine_name(CHAT, None) == "llama_cpp"
    assert engine_name(EMBEDDER, None) == "onnxruntime"
    assert engine_name(CHAT, None, "transformers") == "transformers"
    assert engine_name(CHAT, None, "echo") == "echo"


def test_an_engine_that_does_not_run_a_format_says_which_does():
    with pytest.raises(
        NoEngineError, match=r"'onnxruntime' does not run 'smollm2-135m'.*llama_cpp"
    ):
        engine_name(CHAT, None, "onnxruntime")
    with pytest.raises(NoEngineError, match="which is openai; openai does"):
        engine_name(parse_reference("openai:gpt"), None, "llama_cpp")


def test_mlx_is_for_apple_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(NoEngineError, match=r"Apple silicon only, .* linux .*'llama_cpp'"):
        find_engine("mlx-lm")

    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert find_engine("mlx-lm") == "mlx_lm"
    with pytest.raises(NoEngineError, match="which is gguf; llama_cpp or transformers"):
        engine_name(CHAT, None, "mlx_lm")


def test_missing_packages_are_named_with_the_extra():
    require_packages("echo", ("json",), extra=None)
    with pytest.raises(
        MissingDependencyError, match=r"needs not-there: pip install not-there; .*x"
    ):
        require_packages("echo", ("json", "not_there"), extra="x")
