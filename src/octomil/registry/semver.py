"""Semantic versions, read and ordered as https://semver.org/spec/v2.0.0.html has it."""

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final

from octomil.wire.versions import SEMVER_PATTERN

MAX_LENGTH: Final = 64
"""Characters a version may have here; the standard sets no bound."""

_PATTERN = re.compile(SEMVER_PATTERN)
# In the key an identifier ends with a character below all that may stand in one, so that a shorter
# list sorts first, and a release is marked by one above them.
_END = "!"
_RELEASE = "~"


@total_ordering
@dataclass(frozen=True, slots=True)
class SemVer:
    """A version, ordered by precedence; the build, which has none, only breaks ties.

    Attributes:
        core: major, minor and patch.
        prerelease: the identifiers after the hyphen; empty for a release.
        build: what follows the plus sign; empty if nothing does.

    Example:
        >>> SemVer.parse("1.0.0-rc.2") < SemVer.parse("1.0.0-rc.10") < SemVer.parse("1.0.0")
        True
    """

    core: tuple[int, int, int]
    prerelease: tuple[str, ...] = ()
    build: str = ""

    @classmethod
    def parse(cls, text: str) -> "SemVer":
        """Read a version.

        Raises:
            ValueError: the text is none, or longer than `MAX_LENGTH`.
        """
        found = _PATTERN.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if found is None:
            raise ValueError(f"{text[:MAX_LENGTH]!r} is no semantic version; write one like 1.2.0")
        major, minor, patch, prerelease, build = found.groups()
        identifiers = tuple(prerelease.split(".")) if prerelease else ()
        return cls((int(major), int(minor), int(patch)), identifiers, build or "")

    def __str__(self) -> str:
        text = ".".join(map(str, self.core))
        if self.prerelease:
            text += "-" + ".".join(self.prerelease)
        return f"{text}+{self.build}" if self.build else text

    def __lt__(self, other: "SemVer") -> bool:
        return self.sort_key < other.sort_key

    @property
    def is_prerelease(self) -> bool:
        """Whether it comes before the release of its core."""
        return bool(self.prerelease)

    @property
    def sort_key(self) -> str:
        """A text of ASCII characters that orders as the versions do, so that a database can."""
        core = "".join(_number_key(number) for number in map(str, self.core))
        if not self.prerelease:
            return f"{core}{_RELEASE}{self.build}"
        inner = "".join(_identifier_key(identifier) for identifier in self.prerelease)
        return f"{core}{inner}{_END}{self.build}"


def _identifier_key(identifier: str) -> str:
    """Return a key that puts numbers before words."""
    if identifier.isdigit():
        return f"0{_number_key(identifier)}{_END}"
    return f"1{identifier}{_END}"


def _number_key(digits: str) -> str:
    """Return the digits with their count before them, so that longer numbers sort later."""
    return f"{len(digits):02}{digits}"
