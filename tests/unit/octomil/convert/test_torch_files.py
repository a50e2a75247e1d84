"""Torch's own files, where torch is installed."""

import json
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


def test_what_takes_more_memory_than_there_is_is_kept_and_not_converted(tmp_path: Path):
    path = saved(tmp_path, {"w": torch.zeros(1).expand(1 << 40)})

    with pytest.raises(CannotConvertError, match="memory"):
        to_safetensors(path, tmp_path / "model.safetensors")
