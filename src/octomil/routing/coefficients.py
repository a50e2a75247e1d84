"""The complexity model's coefficients, and the file that holds them.

One little-endian record; see `_HEADER` for its fixed part. It is followed by the weights and the
centres of the style features, the knots of the expected gain, and one signed byte per bucket of
n-grams. A CRC-32 over everything after it guards against damage. Nothing in the file is executed,
and every number is checked before it is used.
"""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from struct import Struct, calcsize, unpack_from
from struct import pack as struct_pack
from zlib import crc32

from octomil.errors import ConfigurationError
from octomil.routing.features import STYLE

MAGIC = b"OCTORTE1"
MAX_BYTES = 256 * 1024
_HEADER = Struct("<8sIBBBxIffffff")
"""Magic, CRC-32, log2 of the buckets, style features, knots, rows fitted, unit of an n-gram weight,
offset and spread of the learned gain, the anchors of the score, the strong model's share."""
_CRC_START = 12
_BITS = range(8, 18)
SHIPPED = Path(__file__).parent / "data" / "complexity.bin"


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What calibration learns.

    Attributes:
        style: weight of each feature of `STYLE`, in gain per unit.
        centres: the value of each feature that counts as neutral.
        grams: one signed byte per bucket; a power of two of them.
        gram_unit: gain per unit of `grams`.
        offset: mean of the learned gain before it is taken away.
        spread: standard deviation of the learned gain; the latent value counts in it.
        anchors: latent values between which the scores 0.3 and 0.7 lie.
        gain_at: knots (latent value, expected gain), both ascending; at least one.
        rows: how many rows were fitted.
        strong_share: the share of those rows that reach the strongest tier.
    """

    style: tuple[float, ...]
    centres: tuple[float, ...]
    grams: bytes
    gram_unit: float
    offset: float
    spread: float
    anchors: tuple[float, float]
    gain_at: tuple[tuple[float, float], ...]
    rows: int
    strong_share: float

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        bits = len(self.grams).bit_length() - 1
        low, high = self.anchors
        flat = [value for knot in self.gain_at for value in knot]
        numbers = (*self.style, *self.centres, *flat)
        head = _HEADER.pack(
            MAGIC, 0, bits, len(self.style), len(self.gain_at), self.rows,
            self.gram_unit, self.offset, self.spread, low, high, self.strong_share,
        )  # fmt: skip
        body = head[_CRC_START:] + struct_pack(f"<{len(numbers)}f", *numbers) + self.grams
        return MAGIC + crc32(body).to_bytes(4, "little") + body


def load(path: Path) -> Coefficients:
    """Read a file of coefficients.

    Raises:
        ConfigurationError: it cannot be read, or is no sound file of this version.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the routing model {path}: {error.strerror or error}"
        ) from error
    try:
        return parse(data)
    except ValueError as error:
        hint = "make it anew with `octomil route calibrate`"
        raise ConfigurationError(f"{path} is no routing model: {error}; {hint}") from None


def parse(data: bytes) -> Coefficients:
    """Read the content of a file.

    Raises:
        ValueError: it is damaged, or not what it says.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 1024} KiB")
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("it does not begin as one")
    if len(data) < _HEADER.size:
        raise ValueError("it is cut off")
    _, crc, bits, style_count, knots, rows, unit, offset, spread, low, high, share = (
        _HEADER.unpack_from(data)
    )
    if bits not in _BITS or style_count != len(STYLE) or not knots:
        raise ValueError(f"it holds {style_count} features and 2^{bits} buckets, not what is known")
    layout = f"<{2 * style_count + 2 * knots}f"
    start = _HEADER.size + calcsize(layout)
    if len(data) != start + 2**bits:
        raise ValueError(f"it has {len(data)} bytes instead of {start + 2**bits}")
    if crc32(data[_CRC_START:]) != crc:
        raise ValueError("its checksum is wrong")
    numbers = unpack_from(layout, data, _HEADER.size)
    flat = numbers[2 * style_count :]
    gain_at = tuple(zip(flat[::2], flat[1::2], strict=True))
    found = Coefficients(
        style=numbers[:style_count],
        centres=numbers[style_count : 2 * style_count],
        grams=data[start:],
        gram_unit=unit,
        offset=offset,
        spread=spread,
        anchors=(low, high),
        gain_at=gain_at,
        rows=rows,
        strong_share=share,
    )
    _check(found, (unit, offset, spread, low, high, share, *numbers))
    return found


def _check(found: Coefficients, numbers: tuple[float, ...]) -> None:
    """Refuse what would make scores meaningless."""
    if not all(isfinite(number) and abs(number) < 1e6 for number in numbers):
        raise ValueError("it holds a number that is none")
    low, high = found.anchors
    if not (low < high and found.spread > 0 and found.gram_unit >= 0):
        raise ValueError("its scale does not ascend")
    if found.style[0] < 0:
        raise ValueError("its longer prompts would count as simpler")
    if any(
        after[0] <= before[0] or after[1] < before[1]
        for before, after in zip(found.gain_at, found.gain_at[1:], strict=False)
    ):
        raise ValueError("its expected gain does not ascend")
