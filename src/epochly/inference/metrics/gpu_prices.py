"""What an hour of a GPU costs to rent, and how its name is read.

One GPU of a rented machine, on demand, in USD. Prices move, and differ by a factor of two and more
between providers, so a rate of your own is always better. The table was compiled on 2026-11-21:

- RunPod: serverless ("flex") prices per second as its documentation listed them on that day,
  https://docs.runpod.io/serverless/pricing
- Lambda and Modal: list prices of 2026-05-07, as compared with the vendors' own pages in
  https://techbytes.app/posts/serverless-gpu-pricing-matrix-modal-replicate-lambda-2026/
"""

import re
from collections.abc import Mapping
from typing import Final

PRICES_DATE: Final = "2026-11-21"

FALLBACK_USD_PER_HOUR: Final = 1.0
"""For a name the table does not know, as documented."""

_RUNPOD_USD_PER_S = {
    "A100_80GB": 0.00076,
    "A40": 0.00034,
    "A4000": 0.00016,
    "A4500": 0.00016,
    "A5000": 0.00019,
    "A6000": 0.00034,
    "B200": 0.00240,
    "H100": 0.00116,
    "H200": 0.00155,
    "L4": 0.00019,
    "L40": 0.00053,
    "L40S": 0.00053,
    "RTX_3090": 0.00019,
    "RTX_4000": 0.00016,
    "RTX_4090": 0.00031,
    "RTX_6000_ADA": 0.00053,
}
_LAMBDA_USD_PER_HOUR = {"A10": 0.86, "A100_40GB": 1.48, "RTX_6000": 0.58}
_MODAL_USD_PER_HOUR = {"T4": 0.5904}

USD_PER_HOUR: Mapping[str, float] = {
    **{name: round(price * 3600, 4) for name, price in _RUNPOD_USD_PER_S.items()},
    **_LAMBDA_USD_PER_HOUR,
    **_MODAL_USD_PER_HOUR,
}

_ALIASES = {"A10G": "A10", "A100": "A100_40GB", "RTX_A4000": "A4000", "RTX_A4500": "A4500",
            "RTX_A5000": "A5000", "RTX_A6000": "A6000"}  # fmt: skip
_NO_MODEL = re.compile(
    r"NVIDIA|TESLA|GEFORCE|QUADRO|GENERATION|SXM\d?|PCIE|NVL|HBM\d?E?|GPU|TENSOR|CORE"
)


def normalised(name: str) -> str:
    """Return a GPU's name as the table writes it.

    >>> normalised("NVIDIA A100-SXM4-80GB"), normalised("a100 80gb"), normalised("Tesla T4")
    ('A100_80GB', 'A100_80GB', 'T4')
    """
    words = [word for word in re.split(r"[^A-Z0-9]+", name.upper()) if word]
    return "_".join(word for word in words if not _NO_MODEL.fullmatch(word))


def usd_per_hour(name: str, prices: Mapping[str, float] = USD_PER_HOUR) -> float | None:
    """Return what an hour of a GPU costs, or None if the table does not know it.

    The size of its memory counts only where the table tells sizes apart, so that
    `H100 80GB HBM3` is an `H100`; a bare `A100` is the smaller one.
    """
    exact = normalised(name)
    without_size = re.sub(r"_\d+GB$", "", exact)
    candidates = (exact, _ALIASES.get(exact, ""), without_size, _ALIASES.get(without_size, ""))
    return next((prices[name] for name in candidates if name in prices), None)
