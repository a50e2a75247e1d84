"""Whether models fit: the machine's memory, the container's limit, and the refusal."""

from pathlib import Path

import pytest

from octomil.engines.memory import (
    MemoryNeed,
    free_memory_bytes,
    require_memory,
    require_memory_beside,
)
from octomil.errors import InsufficientSpaceError

MIB = 2**20
NEEDS = [MemoryNeed("small", 300 * MIB), MemoryNeed("much-larger", 1_700 * MIB)]

V1 = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")
V2 = ("memory.max", "memory.current")


def cgroup(folder: Path, names: tuple[str, str], limit: str, used: str) -> Path:
    for name, text in zip(names, (limit, used), strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text + "\n")
    return folder


def test_models_that_fit_together_are_let_through():
    require_memory(NEEDS, 2_000 * MIB)
    require_memory([], 0)


def test_models_that_fit_one_by_one_only_are_refused_with_a_table_and_the_way_out():
    with pytest.raises(InsufficientSpaceError) as refused:
        require_memory(NEEDS, 2_000 * MIB - 1)

    first, *table, way_out = str(refused.value).splitlines()
    assert first == "the models are estimated to need more memory than is free:"
    assert table == [
        "  small              300 MiB",
        "  much-larger      1,700 MiB",
        "  together         2,000 MiB",
        "  free             2,000 MiB",
    ]
    assert "--ctx-size" in way_out
    assert "--allow-overcommit" in way_out


@pytest.mark.parametrize("names", [V1, V2])
def test_container_s_limit_counts_less_what_it_uses(tmp_path, names):
    folder = cgroup(tmp_path, names, str(12 * MIB), str(5 * MIB))

    assert free_memory_bytes(folder) == 7 * MIB


def test_container_above_its_limit_has_nothing_left(tmp_path):
    assert free_memory_bytes(cgroup(tmp_path, V2, str(5 * MIB), str(12 * MIB))) == 0


@pytest.mark.parametrize(("limit", "used"), [("max", "5"), (str(2**62), "5"), ("", "")])
def test_limit_that_is_none_leaves_what_the_machine_has(tmp_path, limit, used):
    free = free_memory_bytes(cgroup(tmp_path, V2, limit, used))

    assert MIB < free < 2**50


def test_machine_without_containers_has_what_it_has(tmp_path):
    assert free_memory_bytes(tmp_path / "nothing") > MIB


def test_model_that_does_not_fit_beside_those_that_are_served_is_refused():
    require_memory_beside(NEEDS[0], 300 * MIB)

    with pytest.raises(InsufficientSpaceError, match="the old one stays") as refused:
        require_memory_beside(NEEDS[1], 1_000 * MIB)

    for figure in ("much-larger", "1,700 MiB", "1,000 MiB"):
        assert figure in str(refused.value)
