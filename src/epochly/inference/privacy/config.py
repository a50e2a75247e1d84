"""The privacy settings, under the name of the area that they govern.

They are defined with the other tables of the configuration, which lies below this package.
"""

from epochly.inference.config.tables import KEY_SOURCES, PRIVACY_MODES, PrivacyConfig

__all__ = ["KEY_SOURCES", "PRIVACY_MODES", "PrivacyConfig"]
