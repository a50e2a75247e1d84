"""The tables of the configuration: one dataclass for each part that can be configured."""

from dataclasses import dataclass

from epochly.errors import ConfigurationError
from epochly.inference.config.rules import check_settings, setting

PRIVACY_MODES = ("ephemeral", "hashes_only", "persisted_encrypted")
"""What may outlive the process: nothing; digests of data; data, encrypted."""

KEY_SOURCES = ("env", "file", "hsm")
"""Where the encryption key may come from."""

_MODE_DOC = (
    "What may outlive the process: nothing (`ephemeral`), digests (`hashes_only`), or data that is "
    "encrypted (`persisted_encrypted`)."
)


@dataclass(frozen=True)
class BatchingConfig:
    """How calls are gathered into batches.

    Raises:
        ConfigurationError: a setting is of the wrong type or outside its limits.
    """

    enabled: bool = setting(True, "boolean", "Gather concurrent calls into batches.")
    max_batch_size: int = setting(
        0, "integer", "Largest batch; 0 finds it from the free GPU memory.", minimum=0
    )
    max_queue_depth: int = setting(
        1024, "integer", "Calls that may wait before others are turned away.", minimum=1
    )
    max_wait_ms: float = setting(
        50.0, "number", "Longest wait for a batch to fill, in milliseconds.", minimum=0
    )
    target_latency_ms: float = setting(
        100.0, "number", "Latency that batches are sized to keep, in milliseconds.", minimum=0
    )
    gpu_headroom_pct: int = setting(
        20, "integer", "Percentage of the GPU memory to leave free.", minimum=0, maximum=99
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class CompilationConfig:
    """How models are compiled.

    Raises:
        ConfigurationError: a setting is of the wrong type or outside its limits.
    """

    enabled: bool = setting(True, "boolean", "Compile models where it pays.")
    backend: str = setting(
        "auto", "text", "The compiler.", choices=("auto", "inductor", "cudagraphs")
    )
    cache_dir: str = setting(
        "~/.epochly/inference_cache", "text", "Folder for compiled code; `~` is the home folder."
    )
    warmup_requests: int = setting(
        3, "integer", "Calls to a compiled model before it takes traffic.", minimum=0
    )
    tolerance: float = setting(
        1e-5, "number", "Largest error of outputs, absolute and relative.", minimum=0
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class CacheSettings:
    """How results are cached.

    Raises:
        ConfigurationError: a setting is of the wrong type or outside its limits.
    """

    enabled: bool = setting(True, "boolean", "Keep results for calls that are repeated.")
    l1_size: int = setting(10_000, "integer", "Results kept in memory.", minimum=0)
    ttl_seconds: float = setting(
        86400, "number", "Age at which a result is dropped, in seconds.", minimum=0
    )
    privacy_mode: str = setting(
        "ephemeral", "text", f"The same as `privacy.mode`. {_MODE_DOC}", choices=PRIVACY_MODES
    )
    redis_url: str = setting("", "text", "Redis server for the shared tier; empty for none.")

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class PrivacyConfig:
    """What may be kept of requests and answers, and how it is protected.

    Raises:
        ConfigurationError: a setting is of the wrong type or outside its limits, or two settings
            contradict each other.
    """

    mode: str = setting("ephemeral", "text", _MODE_DOC, choices=PRIVACY_MODES)
    encrypt_at_rest: bool = setting(True, "boolean", "Encrypt what is stored.")
    encryption_key_source: str = setting(
        "env", "text", "Where the encryption key comes from.", choices=KEY_SOURCES
    )
    redact_patterns: list[str] = setting(
        [],
        "list",
        "What is redacted before anything is kept: patterns in RE2's syntax, `builtin:NAME`.",
        json_list=True,
    )
    cache_tenant_isolation: bool = setting(True, "boolean", "Give each tenant its own cache keys.")
    audit_log_enabled: bool = setting(True, "boolean", "Write down what the safety gates decide.")
    audit_log_path: str = setting(
        "~/.epochly/audit/", "text", "Folder of the audit log; `~` is the home folder."
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.mode == "persisted_encrypted" and not self.encrypt_at_rest:
            raise ConfigurationError(
                "mode 'persisted_encrypted' contradicts encrypt_at_rest=False; content is never "
                "persisted in the clear: drop encrypt_at_rest=False or choose 'hashes_only'"
            )
        if self.audit_log_enabled and not self.audit_log_path:
            raise ConfigurationError(
                "audit_log_enabled needs an audit_log_path; name a folder or set "
                "audit_log_enabled=False"
            )
