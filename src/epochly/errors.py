"""Every error Epochly raises on purpose, as one tree.

```
EpochlyError
├ ConfigurationError (ValueError)       a setting, an argument or a variable makes no sense
├ MissingDependencyError (ImportError)  an optional package is needed; the message names it
├ GpuUnavailableError                   the GPU cannot be asked
├ PrivacyError
│ ├ AuditError                          the audit log cannot be opened, written or trusted
│ └ KeyUnavailableError                 the encryption key cannot be had, or is no key
└ SafetyError
  └ CircuitOpenError                    the breaker does not admit this call
```

Messages name the value at fault and the next step.
"""


class EpochlyError(Exception):
    """Base class of every error Epochly raises on purpose."""


class ConfigurationError(EpochlyError, ValueError):
    """A setting, an argument or an environment variable makes no sense."""


class MissingDependencyError(EpochlyError, ImportError):
    """An optional package is needed for what was asked."""


class GpuUnavailableError(EpochlyError):
    """A GPU cannot be asked: there is no driver, no such GPU, or it was lost."""


class PrivacyError(EpochlyError):
    """Data cannot be stored the way its owner demands."""


class AuditError(PrivacyError):
    """The audit log cannot be opened, written or trusted."""


class KeyUnavailableError(PrivacyError):
    """The encryption key cannot be had from its source, or is not a key."""


class SafetyError(EpochlyError):
    """A safety gate refused or could not decide."""


class CircuitOpenError(SafetyError):
    """The circuit breaker does not admit this call.

    Attributes:
        retry_after_s: seconds after which a call may be admitted again; None where only a person
            can tell, because the breaker was opened by hand.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
