"""What pickles import is read off without loading them."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octomil.convert.imports import sorted_imports
from octomil.convert.pickles import BrokenPickleError, imports_of
from support import model_files as made

NAMES = tuple(made.exploits(Path("canary")))


@pytest.mark.parametrize("name", NAMES)
def test_every_exploit_is_seen(name: str, tmp_path: Path):
    canary = tmp_path / "canary"

    found = sorted_imports(imports_of(io.BytesIO(made.exploits(canary)[name])))

    assert found.harmful
    assert not canary.exists()


@pytest.mark.parametrize("name", made.LOADABLE)
def test_the_exploits_are_real(name: str, tmp_path: Path):
    canary = tmp_path / "canary"

    pickle.loads(made.exploits(canary)[name])

    assert canary.exists()


def test_a_state_dict_imports_nothing_but_tensors():
    found = sorted_imports(imports_of(io.BytesIO(made.state_dict_pickle(w=[1.0], b=[2.0]))))

    assert (found.harmful, found.unknown) == ((), ())
    assert "torch._utils._rebuild_tensor_v2" in found.safe


def test_a_whole_model_needs_code_that_is_unknown():
    found = sorted_imports([("__main__", "Net"), ("torch.nn.modules.linear", "Linear")])

    assert found.unknown == ("__main__.Net", "torch.nn.modules.linear.Linear")
    assert not found.harmful


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("posix", "system"),
        ("os.path", "exists"),
        ("torch", "load"),
        ("torch.hub", "load_state_dict_from_url"),
        ("torch.serialization", "os.system"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("collections", "OrderedDict.__init__"),
        ("numpy", "load"),
        ("numpy.testing._private.utils", "runstring"),
        ("torch", ""),
        ("", "system"),
        ("torch; os", "Tensor"),
    ],
)
def test_what_reaches_the_system_is_harmful(module: str, name: str):
    assert sorted_imports([(module, name)]).harmful


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"\x80\x02",
        b"\x80\x02N",
        b"\x80\x02\x8e" + b"\xff" * 8,
        b"\x80\x02X\xff\xff\xff\x7fa",
        b"no pickle",
    ],
)
def test_what_is_cut_off_is_no_pickle(content: bytes):
    with pytest.raises(BrokenPickleError):
        imports_of(io.BytesIO(content))


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    ),
    st.integers(0, 5),
)
def test_plain_values_import_nothing_harmful(value, protocol: int):
    file = io.BytesIO(pickle.dumps(OrderedDict(value=value), protocol=protocol) + b"rest")

    found = sorted_imports(imports_of(file))

    assert {each.rpartition(".")[2] for each in found.safe} >= {"OrderedDict"}
    assert (found.harmful, found.unknown) == ((), ())
    assert file.read() == b"rest"


@given(st.binary(max_size=300))
def test_any_bytes_are_followed_or_refused(content: bytes):
    try:
        imports_of(io.BytesIO(content))
    except BrokenPickleError:
        return
    assert b"." in content
