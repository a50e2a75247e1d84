"""What the trials of all formats share: how one ends other than well."""


class FailedTrialError(Exception):
    """The release does not do what a model of its format does."""


class NotTriedError(Exception):
    """Nobody here can tell: it says nothing about the release."""
