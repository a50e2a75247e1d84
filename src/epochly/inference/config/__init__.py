"""Settings: what may be set, their defaults, and the sources they are read from."""

from epochly.inference.config.environment import ENVIRONMENT
from epochly.inference.config.inference import InferenceConfig
from epochly.inference.config.loading import LoadedConfig, load
from epochly.inference.config.reference import setting_table, variable_table
from epochly.inference.config.tables import (
    BatchingConfig,
    CacheSettings,
    CompilationConfig,
    PrivacyConfig,
)

__all__ = [
    "ENVIRONMENT",
    "BatchingConfig",
    "CacheSettings",
    "CompilationConfig",
    "InferenceConfig",
    "LoadedConfig",
    "PrivacyConfig",
    "load",
    "setting_table",
    "variable_table",
]
