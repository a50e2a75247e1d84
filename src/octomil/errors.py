"""Every error Octomil raises on purpose, as one tree.

```
OctomilError
├ ConfigurationError (ValueError)       a setting, flag or variable makes no sense
├ MissingDependencyError (ImportError)  an optional package is needed; the message names it
├ ModelError
│ ├ UnknownModelError (LookupError)     no model of that name; the nearest are suggested
│ ├ ModelUnavailableError               its files cannot be had now (network, hub, permission)
│ ├ DigestMismatchError                 what arrived is not what was promised
│ ├ InvalidModelFileError               the file is not what its name says
│ └ InsufficientSpaceError (OSError)    disk or memory is too small
├ QueueError
│ ├ QueueFullError                      too many requests wait already
│ └ QueueTimeoutError (TimeoutError)    the request waited too long for its turn
├ RoutingError
│ └ NoModelAvailableError               no model can take this request
└ EngineError
  ├ EngineUnavailableError              the engine is loading, restarting or unreachable
  │ └ SpendCapReachedError              asking it could cost more than may be spent today
  ├ EngineCrashedError                  the engine died while it worked on this request
  ├ InvalidRequestError                 the engine refuses the request as it is
  │ └ ContextLengthError                the prompt does not fit the model's context
  └ GenerationError                     the engine failed while generating
```

Messages name the value at fault and the next step.
"""


class OctomilError(Exception):
    """Base class of every error Octomil raises on purpose."""


class ConfigurationError(OctomilError, ValueError):
    """A setting, a flag or an environment variable makes no sense."""


class MissingDependencyError(OctomilError, ImportError):
    """An optional package is needed for what was asked."""


class ModelError(OctomilError):
    """A model cannot be named, fetched, verified or stored."""


class UnknownModelError(ModelError, LookupError):
    """No model has that name."""


class ModelUnavailableError(ModelError):
    """The model is known, but its files cannot be had now."""


class DigestMismatchError(ModelError):
    """The bytes that arrived do not have the digest that was promised."""


class InvalidModelFileError(ModelError):
    """A file is not the kind of model its name says, or is damaged."""


class InsufficientSpaceError(ModelError, OSError):
    """The disk or the memory is too small for the model."""


class QueueError(OctomilError):
    """A request could not get its turn."""


class QueueFullError(QueueError):
    """Too many requests are waiting already."""


class QueueTimeoutError(QueueError, TimeoutError):
    """The request waited too long for its turn; it was never started."""


class RoutingError(OctomilError):
    """No routing decision could be made."""


class NoModelAvailableError(RoutingError):
    """None of the models at hand can take this request."""


class EngineError(OctomilError):
    """An engine could not do what was asked."""


class EngineUnavailableError(EngineError):
    """The engine cannot take requests now.

    Attributes:
        retry_after_s: seconds after which another try makes sense.
    """

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SpendCapReachedError(EngineUnavailableError):
    """Asking the model could cost more than may still be spent today."""


class EngineCrashedError(EngineError):
    """The engine's process died while it worked on this request."""


class InvalidRequestError(EngineError):
    """The engine refuses the request as it is.

    Attributes:
        param: the request's field at fault, where one is known.
        code: the OpenAI error code, where one fits.
        status: the HTTP status that fits the refusal.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


class ContextLengthError(InvalidRequestError):
    """The prompt and the tokens asked for do not fit the model's context."""

    def __init__(self, message: str) -> None:
        super().__init__(message, param="messages", code="context_length_exceeded")


class GenerationError(EngineError):
    """The engine failed while it generated."""
