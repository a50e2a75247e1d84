"""The one HTTP core that the SDK, the device agent, models and engines share."""
