"""The shipped patterns of personal and secret data, selected by name as `builtin:NAME`.

A pattern finds candidates in UTF-8 bytes; where a check digit or a grammar says more than a
regular expression can, its `confirm` gives the parts of a candidate that are the real thing.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

Span = tuple[int, int]
"""Half-open, in bytes."""


@dataclass(frozen=True, slots=True)
class BuiltinPattern:
    """One shipped pattern.

    Attributes:
        regex: a regular expression in RE2's syntax.
        confirm: the confirmed parts of a candidate, relative to its start; None takes it whole.
    """

    regex: str
    confirm: Callable[[bytes], Sequence[Span]] | None = None


_LUHN_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_IBAN_NUMBERS = str.maketrans({chr(ord("A") + n): str(10 + n) for n in range(26)})


def passes_luhn(digits: bytes) -> bool:
    """Tell whether the last ASCII digit is the others' check digit (ISO/IEC 7812-1, annex B)."""
    total = sum(digits[-1::-2]) + sum(digits[-2::-2].translate(_LUHN_DOUBLED))
    return (total - ord("0") * len(digits)) % 10 == 0


def passes_mod_97(iban: str) -> bool:
    """Tell whether the check digits of a compact, upper-case IBAN are right (ISO 13616, 7064)."""
    return int((iban[4:] + iban[:4]).translate(_IBAN_NUMBERS)) % 97 == 1


_DIGIT_GROUP = re.compile(rb"[0-9]+")


def _card_numbers(candidate: bytes) -> list[Span]:
    """Runs of digit groups with 13 to 19 digits, a card's first digit and a good check digit."""
    groups = [match.span() for match in _DIGIT_GROUP.finditer(candidate)]
    found: list[Span] = []
    for first, (start, _) in enumerate(groups):
        if candidate[start] not in b"23456":
            continue
        digits = b""
        for group_start, group_end in groups[first : first + 7]:  # 7 groups of 3 are too many
            digits += candidate[group_start:group_end]
            if len(digits) > 19:
                break
            if len(digits) >= 13 and passes_luhn(digits):
                found.append((start, group_end))
    return found


# Length by country, from the IBAN registry of SWIFT, release 99 (December 2024).
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FK FI FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}

_IBAN_START = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}")
_LONGEST_IBAN = 2 * max(_IBAN_LENGTHS.values())


def _ibans(candidate: bytes) -> list[Span]:
    """Parts that have their country's length and good check digits."""
    found: list[Span] = []
    for match in _IBAN_START.finditer(candidate):
        start = match.start()
        length = _IBAN_LENGTHS.get(match[0][:2].decode().upper())
        if length is None:
            continue
        spaced = candidate[start : start + _LONGEST_IBAN].decode()
        compact = spaced.replace(" ", "")[:length].upper()
        if len(compact) == length and passes_mod_97(compact):
            found.append((start, start + _spaced_length(spaced, length)))
    return found


def _spaced_length(spaced: str, length: int) -> int:
    """How far into `spaced` its first `length` signs reach that are not spaces."""
    signs = [at for at, sign in enumerate(spaced) if sign != " "]
    return signs[length - 1] + 1


def _social_security_number(candidate: bytes) -> list[Span]:
    """The whole, unless the number was never given out."""
    area, group, serial = candidate[:3], candidate[4:6], candidate[7:]
    void = area in (b"000", b"666") or area[:1] == b"9" or group == b"00" or serial == b"0000"
    return [] if void else [(0, len(candidate))]


_VERSION_START = re.compile(rb"[vV]?[0-9]+")
_OCTET = re.compile(rb"25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9]")


def _ipv4_addresses(candidate: bytes) -> list[Span]:
    """The four octets; neither four parts of a longer dotted number nor a `label.` before them."""
    first, _, rest = candidate.partition(b".")
    start = 0 if _VERSION_START.fullmatch(first) else len(first) + 1
    parts = candidate.split(b".") if start == 0 else rest.split(b".")
    is_address = len(parts) == 4 and all(map(_OCTET.fullmatch, parts))
    return [(start, len(candidate))] if is_address else []


_HEX_GROUP = re.compile(rb"[0-9A-Fa-f]{0,4}")
_DOTTED_QUAD = re.compile(rb"[0-9]+(?:\.[0-9]+){3}")


def _ipv6_addresses(candidate: bytes) -> list[Span]:
    """Runs of an address's groups that make one; `label:` in front of it is not a part of it."""
    found: list[Span] = []
    run_start = at = 0
    groups = candidate.split(b":")
    for number, group in enumerate(groups):
        end = at + len(group)
        is_last = number == len(groups) - 1
        if not _HEX_GROUP.fullmatch(group):
            ends_in_quad = is_last and _DOTTED_QUAD.match(group)
            found += _address(candidate, run_start, at + ends_in_quad.end() if ends_in_quad else at)
            run_start = end + 1
        elif is_last:
            found += _address(candidate, run_start, end)
        at = end + 1
    return found


def _address(candidate: bytes, start: int, end: int) -> list[Span]:
    text = candidate[start:end]
    if text.endswith(b":") and not text.endswith(b"::"):
        text = text[:-1]
    if not 2 < len(text) <= 45:
        return []
    try:
        ipaddress.IPv6Address(text.decode())
    except ValueError:
        return []
    return [(start, start + len(text))]


_SECRETS: Final = (
    r"sk-[A-Za-z0-9_\-]{20,}",  # OpenAI, Anthropic and those who follow them
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",  # AWS
    r"AIza[0-9A-Za-z_\-]{35}",  # Google
    r"gh[pousr]_[A-Za-z0-9]{36,}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_\-]{20,}",  # GitLab
    r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"xox[abeoprs]-[A-Za-z0-9\-]{10,}",  # Slack
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_\-]{50,}",
    r"edg_[A-Za-z0-9_\-]{16,}",  # Octomil
)

BUILTIN: Final[Mapping[str, BuiltinPattern]] = MappingProxyType(
    {
        "email": BuiltinPattern(
            r"[\p{L}\p{N}._%+'\-]+@(?:[\p{L}\p{N}\-]+\.)+(?i:xn--[a-z0-9\-]+|\p{L}{2,})"
        ),
        "phone": BuiltinPattern(
            r"\+[0-9](?:[ .\-/()]{0,2}[0-9]){6,14}\b"  # international, ITU-T E.164
            r"|(?:\([0-9]{3}\)[ .\-]?|\b[0-9]{3}[ .\-])[0-9]{3}[ .\-][0-9]{4}\b"  # North America
        ),
        "card": BuiltinPattern(
            r"\b(?:[0-9]{13,19}|[0-9]{4}(?:[ \-\x{a0}][0-9]{3,7}){2,})\b", _card_numbers
        ),
        "iban": BuiltinPattern(r"\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,}\b", _ibans),
        "ssn": BuiltinPattern(
            r"\b[0-9]{3}(?:-[0-9]{2}-| [0-9]{2} )[0-9]{4}\b", _social_security_number
        ),
        "ipv4": BuiltinPattern(r"\w+(?:\.[0-9]\w*){3,}", _ipv4_addresses),
        "ipv6": BuiltinPattern(r"\w*(?::\w*){2,}(?:\.[0-9]+)*", _ipv6_addresses),
        "api_key": BuiltinPattern(rf"\b(?:{'|'.join(_SECRETS)})"),
        "private_key": BuiltinPattern(
            # A key that was cut off before its end is redacted to the end of the text.
            r"(?s)-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----.*?"
            r"(?:-----END (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----|\z)"
        ),
        # Encrypted tokens have five parts (RFC 7516), signed ones three (RFC 7515).
        "jwt": BuiltinPattern(
            r"\beyJ[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]*(?:\.[A-Za-z0-9_\-]+){3}"
            r"|\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*)"
        ),
    }
)
"""Name to pattern. A new one is one line here."""
