"""Torch's own files, where torch is installed."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from octomil.convert.files import (
    CannotConvertError,
    can_convert,
    inspect_in_sandbox,
    to_safetensors,
)
from octomil.convert.formats import Format
from octomil.convert.inspection import Inspection
from octomil.convert.torch_child import convert
from support import model_files as made

pytestmark = pytest.mark.optional
torch = pytest.importorskip("torch")


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x).relu()


def saved(tmp_path: Path, value: object, **options) -> Path:
    path = tmp_path / "model.pt"
    torch.save(value, path, **options)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_dict_becomes_safetensors(tmp_path: Path, legacy: bool):
    from safetensors.torch import load_file

    net = Net()
    net.layer.bias.data[0] = float("nan")
    path = saved(tmp_path, net.state_dict(), _use_new_zipfile_serialization=not legacy)
    found = inspect_in_sandbox(path)

    converted = to_safetensors(path, tmp_path / "model.safetensors")

    assert (found.format, can_convert(found)) == (Format.PYTORCH, None)
    assert converted.left_out == ()
    back = load_file(tmp_path / "model.safetensors")
    for name, tensor in net.state_dict().items():
        assert torch.equal(back[name].view(torch.int32), tensor.view(torch.int32))
    assert inspect_in_sandbox(tmp_path / "model.safetensors").format is Format.SAFETENSORS


def test_a_checkpoint_keeps_its_tensors_and_names_the_rest(tmp_path: Path):
    weight = torch.arange(6.0).reshape(2, 3)
    checkpoint = {"epoch": 3, "model": {"w": weight, "tied": weight.t()}, "steps": [torch.ones(1)]}
    path = saved(tmp_path, checkpoint)

    converted = to_safetensors(path, tmp_path / "model.safetensors")

    assert converted.left_out == ("epoch",)
    header = (tmp_path / "model.safetensors").read_bytes()
    names = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    assert set(names) - {"__metadata__"} == {"model.w", "model.tied", "steps.0"}


def test_a_whole_model_is_kept_and_not_converted(tmp_path: Path):
    found = inspect_in_sandbox(saved(tmp_path, Net()))

    assert found.format is Format.PYTORCH
    assert "Net" in str(can_convert(found))


def test_torchscript_and_exported_programs_are_told_apart(tmp_path: Path):
    scripted, exported = tmp_path / "scripted.pt", tmp_path / "exported.pt2"
    torch.export.save(torch.export.export(Net(), (torch.ones(1, 3),)), exported)
    scripted.write_bytes(made.torchscript_file())

    assert inspect_in_sandbox(scripted).format is Format.TORCHSCRIPT
    assert inspect_in_sandbox(exported).format is Format.TORCH_EXPORT
    assert can_convert(inspect_in_sandbox(exported)) is not None


def test_the_files_made_by_hand_are_torchs(tmp_path: Path):
    path = tmp_path / "model.pt"
    path.write_bytes(made.torch_file(a=[1.0, 2.0], b=[3.0]))

    loaded = torch.load(path, weights_only=True)

    assert {name: tensor.tolist() for name, tensor in loaded.items()} == {"a": [1, 2], "b": [3]}


@pytest.mark.parametrize("name", made.LOADABLE)
def test_even_unlooked_at_an_exploit_does_nothing(name: str, tmp_path: Path):
    canary = tmp_path / "canary"
    path = tmp_path / "model.pt"
    path.write_bytes(made.torch_file(made.exploits(canary)[name]))

    with pytest.raises(CannotConvertError, match="weights_only"):
        to_safetensors(path, tmp_path / "model.safetensors")

    assert not canary.exists()
    assert can_convert(Inspection(format=Format.PYTORCH, unknown_imports=("x.y",))) is not None


def test_containers_laid_too_deep_in_each_other_are_kept_and_not_converted(tmp_path: Path):
    value: object = torch.ones(1)
    for _ in range(20):
        value = [value]

    with pytest.raises(CannotConvertError, match="more than 16 deep"):
        to_safetensors(saved(tmp_path, value), tmp_path / "model.safetensors")


def nested(times: int, depth: int, value: object) -> object:
    """Lists that hold one value `times` to the power of `depth` times."""
    for _ in range(depth):
        value = [value] * times
    return value


@pytest.mark.parametrize(
    "value",
    [
        {"w": torch.zeros(1).expand(1 << 40)},
        {"w": torch.zeros(1).expand(1 << 27)},
        {"w": torch.zeros(1).expand(1 << 31, 1 << 31)},
        {"w": torch.ones(1 << 10).expand(1 << 17, 1 << 10)},
        dict.fromkeys(map(str, range(300)), torch.ones(1 << 18)),
        torch.ones(1 << 13).unfold(0, 1 << 12, 1).unfold(1, 1 << 10, 1),
    ],
    ids=["a tebibyte", "512 MiB", "past an int64", "rows", "one for many", "windows"],
)
def test_what_stands_for_far_more_than_the_file_has_is_kept_and_not_converted(
    tmp_path: Path, value: object
):
    path = saved(tmp_path, value)

    with pytest.raises(CannotConvertError, match=r"its tensors would be more than 26\d+ bytes"):
        to_safetensors(path, tmp_path / "model.safetensors")

    assert path.stat().st_size < 2 << 20
    assert [each.name for each in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize(
    ("times", "depth", "value"),
    [(100, 3, torch.ones(1)), (100, 8, torch.ones(1)), (100, 8, []), (10, 16, {})],
    ids=["a million tensors", "far more", "empty lists", "empty mappings"],
)
def test_few_containers_that_hold_each_other_many_times_are_kept_and_not_converted(
    tmp_path: Path, times: int, depth: int, value: object
):
    path = saved(tmp_path, nested(times, depth, value))

    with pytest.raises(CannotConvertError, match="more than 100000 tensors"):
        to_safetensors(path, tmp_path / "model.safetensors")

    assert path.stat().st_size < 16 << 10
    assert [each.name for each in tmp_path.iterdir()] == ["model.pt"]


def test_nothing_is_made_of_a_tensor_before_all_are_summed_up(tmp_path: Path):
    """512 MiB of them would show in the child's peak.

    `ru_maxrss` would not tell: it begins with the peak of what forked the child.
    """
    path = saved(tmp_path, {str(n): torch.zeros(1).expand(1 << 25) for n in range(4)})
    program = (
        "import re, sys; from pathlib import Path;"
        "from octomil.convert.torch_child import convert; import torch, safetensors.torch;"
        "status = Path('/proc/self/status');"
        "peak_kib = lambda: int(re.search(r'VmHWM:\\s+(\\d+) kB', status.read_text())[1]);"
        "before = peak_kib();"
        "found = convert(Path(sys.argv[1]), Path(sys.argv[1] + '.made'), 400 << 20);"
        "print('failed' in found, peak_kib() - before)"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(path)],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    failed, grown_kib = done.stdout.split()
    assert failed == "True"
    assert int(grown_kib) < 100 << 10


def test_an_archive_that_would_unpack_to_far_more_is_not_unpacked(tmp_path: Path):
    path, target = saved(tmp_path, {"w": torch.zeros(1 << 20)}), tmp_path / "made"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)

    found = convert(path, target, 1 << 20)

    assert path.stat().st_size < 1 << 20
    assert re.fullmatch(r"it would be 4\d+ bytes unpacked, more than 1048576", found["failed"])
    assert convert(path, target, 5 << 20)["tensors"] == 1


def test_what_looks_like_the_end_of_an_archive_may_lie_in_weights(tmp_path: Path):
    """Torch's older format is flat."""
    end = b"PK\5\6" + b"\1" * 18
    weights = torch.frombuffer(bytearray(end + b"\0" * 10), dtype=torch.uint8)
    path = saved(tmp_path, {"w": weights}, _use_new_zipfile_serialization=False)

    converted = to_safetensors(path, tmp_path / "model.safetensors")

    assert end in path.read_bytes()
    assert converted.left_out == ()
    assert end in (tmp_path / "model.safetensors").read_bytes()
