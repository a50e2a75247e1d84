"""Whether a system prompt leaves an exact answer as it is, or may bend its form or its language."""

import re

_MAX_CHARS = 400

_PRAISE = (
    r"(?:helpful|friendly|polite|kind|honest|harmless|respectful|knowledgeable|reliable|useful|smart"
    r"|intelligent|general(?:[- ]purpose)?|virtual|digital|personal|professional|capable|ai|chat)"
)
_NEUTRAL = re.compile(
    rf"you are (?:an? |the )?(?:{_PRAISE}(?:,? and |, ?| ))*(?:assistant|chatbot|bot|ai)"
    rf"(?: (?:developed|created|made|trained) by [\w-]+(?: [\w-]+)?)?[.!]?"
    rf"(?:\s{{1,8}}(?:be (?:{_PRAISE}(?:,? and |, ?)?)+"
    rf"|(?:please )?(?:help|assist) the user|answer (?:the user'?s? |all )?questions?)[.!]?)*",
    re.IGNORECASE,
)


def is_neutral(prompt: str) -> bool:
    """Tell whether a system prompt only introduces the assistant.

    A closed grammar over the whole prompt: a wish that is overlooked would spoil the answer, a
    neutral prompt that is not recognised only costs a model's time.

    >>> is_neutral("You are a helpful assistant."), is_neutral("You are a French assistant.")
    (True, False)
    """
    stripped = prompt.strip()
    return not stripped or (
        len(stripped) <= _MAX_CHARS and _NEUTRAL.fullmatch(stripped) is not None
    )
