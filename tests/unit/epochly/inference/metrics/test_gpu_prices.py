from datetime import date

import pytest

from epochly.inference.metrics.gpu_prices import PRICES_DATE, USD_PER_HOUR, normalised, usd_per_hour


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("A100_80GB", "A100_80GB"),
        ("a100 80gb", "A100_80GB"),
        ("NVIDIA A100-SXM4-80GB", "A100_80GB"),
        ("NVIDIA A100 80GB PCIe", "A100_80GB"),
        ("A100", "A100_40GB"),
        ("NVIDIA A100-SXM4-40GB", "A100_40GB"),
        ("h100", "H100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100"),
        ("NVIDIA H200", "H200"),
        ("Tesla T4", "T4"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA A10G", "A10"),
        ("NVIDIA RTX A6000", "A6000"),
        ("NVIDIA GeForce RTX 4090", "RTX_4090"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX_6000_ADA"),
        ("Quadro RTX 6000", "RTX_6000"),
    ],
)
def test_gpu_is_found_by_the_names_it_goes_by(name: str, entry: str):
    assert usd_per_hour(name) == USD_PER_HOUR[entry]


@pytest.mark.parametrize("name", ["", "NVIDIA", "V100", "L400", "H1000", "RTX", "80GB"])
def test_name_like_another_is_not_that_other(name: str):
    assert usd_per_hour(name) is None


def test_name_is_written_one_way():
    assert normalised("  nvidia   h100-SXM5--80gb\n") == "H100_80GB"


def test_table_is_written_in_normalised_names_with_sane_prices():
    assert all(normalised(name) == name for name in USD_PER_HOUR)
    assert all(0.1 < price < 20 for price in USD_PER_HOUR.values())
    assert date.fromisoformat(PRICES_DATE)
