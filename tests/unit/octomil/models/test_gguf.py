import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octomil.errors import InvalidModelFileError
from octomil.models.gguf import GgufMetadata, estimate_memory_bytes, read_metadata
from support.models import make_gguf

KEYS = {
    "general.architecture": "llama",
    "general.name": "Tiny Llama",
    "llama.context_length": 2048,
    "llama.block_count": 4,
    "llama.embedding_length": 256,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
    "llama.rope.freq_base": 10000.0,
    "tokenizer.ggml.tokens": ["<s>", "hello", "wörld"],
    "tokenizer.ggml.token_type": [1, 1, 1],
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.gguf"


def test_header_is_read_past_arrays_of_texts(path):
    path.write_bytes(make_gguf(KEYS))

    metadata = read_metadata(path)

    assert metadata.architecture == "llama"
    assert metadata.name == "Tiny Llama"
    assert metadata.context_length == 2048
    assert (metadata.block_count, metadata.head_count, metadata.head_count_kv) == (4, 8, 2)
    assert (metadata.embedding_length, metadata.key_length, metadata.value_length) == (256, 32, 32)
    assert metadata.vocabulary_size == 3
    assert metadata.has_chat_template
    assert metadata.chat_template.startswith("{% for")
    assert not metadata.is_embedding


def test_what_the_header_does_not_say_is_none(path):
    path.write_bytes(make_gguf())

    metadata = read_metadata(path)

    assert metadata == GgufMetadata(architecture="llama", name="Tiny")
    assert not metadata.has_chat_template


def test_parameters_are_counted_from_the_tensors(path):
    path.write_bytes(make_gguf(tensors=[("a", (256, 10), 0), ("b", (256,), 0)]))

    assert read_metadata(path).parameter_count == 2816


def test_a_stated_parameter_count_wins(path):
    path.write_bytes(make_gguf({"general.parameter_count": 7}, tensors=[("a", (256, 10), 0)]))

    assert read_metadata(path).parameter_count == 7


def test_repacked_weights_are_the_4_bit_matrices_but_the_embedding_table(path):
    q4_k, f32 = 12, 0
    tensors = [("token_embd.weight", (256, 100), q4_k), ("blk.0.w", (256, 4), q4_k)]
    path.write_bytes(make_gguf(tensors=[*tensors, ("norm", (256,), f32)], weight_bytes=1000))

    assert read_metadata(path).repacked_bytes == 4 * 144


def test_a_head_count_per_layer_counts_as_its_largest(path):
    path.write_bytes(make_gguf({"llama.attention.head_count_kv": [2, 8, 4]}))

    assert read_metadata(path).head_count_kv == 8


def test_a_pooling_model_is_an_embedder(path):
    path.write_bytes(make_gguf({"general.architecture": "bert", "bert.pooling_type": 1}))

    assert read_metadata(path).is_embedding


@pytest.mark.parametrize("length", [0, 3, 4, 8, 24, 40, 100])
def test_a_file_cut_short_is_refused(path, length):
    path.write_bytes(make_gguf(KEYS)[:length])

    with pytest.raises(InvalidModelFileError, match=r"model\.gguf"):
        read_metadata(path)


def test_another_kind_of_file_is_refused(path):
    path.write_bytes(b"<html>not found</html>")

    with pytest.raises(InvalidModelFileError, match="not a GGUF file"):
        read_metadata(path)


def test_a_missing_file_is_refused(path):
    with pytest.raises(InvalidModelFileError, match="cannot read"):
        read_metadata(path)


HUGE = 2**63 + 11


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<IQQ", 3, 0, HUGE),
        struct.pack("<IQQ", 3, HUGE, 0),
        struct.pack("<IQQ", 99, 0, 0),
        struct.pack("<IQQQ", 3, 0, 1, HUGE),  # length of a key
        struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 8, HUGE),  # texts
        struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQQ", 9, 8, 1, 2**64 - 1),
        struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 10, HUGE),  # numbers
        struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 1),  # nested array
        struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 77),  # unknown type
        struct.pack("<IQQQ", 3, 1, 0, 1) + b"t" + struct.pack("<I", 2**31),  # dimensions
        struct.pack("<IQQ", 3, 0, 0),  # no architecture
    ],
)
def test_a_header_that_lies_is_refused_without_believing_it(path, header):
    path.write_bytes(b"GGUF" + header + bytes(64))

    with pytest.raises(InvalidModelFileError, match="damaged or cut short"):
        read_metadata(path)


@pytest.mark.parametrize(
    "array",
    [
        struct.pack("<IIQ", 9, 4, 1000) + bytes(64),
        struct.pack("<IIQQ", 9, 8, 1, 1000) + bytes(64),
    ],
)
def test_a_last_array_that_runs_past_the_end_is_refused(path, array):
    good = make_gguf({}, weight_bytes=0)
    keys = struct.pack("<Q", 3)  # one more than the two that are there
    path.write_bytes(good[:16] + keys + good[24:] + struct.pack("<Q", 1) + b"k" + array)

    with pytest.raises(InvalidModelFileError, match="runs past the end"):
        read_metadata(path)


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_any_damage_ends_in_a_value_or_a_typed_error(path, data):
    good = make_gguf(KEYS, tensors=[("blk.0.w", (256, 4), 12)], weight_bytes=600)
    at = data.draw(st.integers(4, len(good) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=16))
    end = data.draw(st.integers(at, len(good)))
    path.write_bytes((good[:at] + noise + good[at + len(noise) :])[:end])

    try:
        metadata = read_metadata(path)
    except InvalidModelFileError:
        return
    assert metadata.architecture
    assert 0 <= metadata.repacked_bytes <= end


def test_memory_is_file_repacked_weights_cache_and_overhead():
    qwen = GgufMetadata(
        architecture="qwen2", block_count=28, head_count=12, head_count_kv=2,
        key_length=128, value_length=128, repacked_bytes=625_508_352,
    )  # fmt: skip

    short = estimate_memory_bytes(qwen, file_size_bytes=1_117_320_768, context_tokens=512)
    long = estimate_memory_bytes(qwen, file_size_bytes=1_117_320_768, context_tokens=4096)

    assert short >> 20 == pytest.approx(1789, rel=0.1)  # measured resident size
    assert long - short == (4096 - 512) * 28 * 2 * (128 + 128) * 2


def test_an_embedder_keeps_no_cache():
    bert = GgufMetadata(architecture="bert", block_count=12, head_count_kv=12, key_length=64,
                        value_length=64, is_embedding=True)  # fmt: skip

    assert estimate_memory_bytes(
        bert, file_size_bytes=10, context_tokens=8192
    ) == estimate_memory_bytes(bert, file_size_bytes=10, context_tokens=1)
