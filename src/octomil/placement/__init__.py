"""Where an inference should run, on the device or in the cloud: one table, one decision. Pure."""
