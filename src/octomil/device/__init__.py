"""The edge agent: registers, asks what to run, fetches it verified, activates it and attests it."""
