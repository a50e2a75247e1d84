"""The SDK's calls: one file per noun of the API."""
