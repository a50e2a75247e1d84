"""How much an organisation may have under way to the spool: its disk is everybody's."""

from collections.abc import Sequence
from dataclasses import dataclass

from octomil.control.records import Upload
from octomil.errors import ConflictError

_SHOWN = 10
_RETRY_AFTER_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadQuota:
    """What each organisation's uploads may be that were begun, and neither completed nor given up.

    Attributes:
        most: how many.
        most_bytes: what they are going to have together, as was said when they began.
    """

    most: int = 100
    most_bytes: int = 1 << 40

    def require_room(self, under_way: Sequence[Upload], size_bytes: int) -> None:
        """Return if one more upload may begin.

        Args:
            under_way: the organisation's uploads, oldest first.
            size_bytes: what the next one is going to have.

        Raises:
            ConflictError: it would be too much; `details` say which limit it is, and which uploads
                could be given up.
        """
        taken_bytes = sum(each.size_bytes for each in under_way)
        if len(under_way) >= self.most:
            told = f"the organisation has {len(under_way)} uploads under way, of {self.most}"
            limit = {"limit": "open_uploads", "most": self.most}
        elif taken_bytes + size_bytes > self.most_bytes:
            told = (
                f"the organisation's uploads under way are going to have {taken_bytes} bytes, and "
                f"this one {size_bytes}, of {self.most_bytes}"
            )
            limit = {"limit": "open_upload_bytes", "most": self.most_bytes}
        else:
            return
        oldest = [each.id for each in under_way[:_SHOWN]]
        raise ConflictError(
            f"{told} that it may have; complete some, or give them up by DELETE /uploads/ID",
            {**limit, "oldest": oldest, "retry_after_s": _RETRY_AFTER_S},
        )


DEFAULT_QUOTA = UploadQuota()
