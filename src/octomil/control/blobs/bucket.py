"""A bucket of an object store: S3, Google Cloud Storage or Azure, by obstore.

Credentials and endpoints come from the variables that each of these services documents, such as
`AWS_ACCESS_KEY_ID` and `AWS_ENDPOINT_URL`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import ObjectStore, from_url

from octomil.errors import ConfigurationError, ServiceUnavailableError

_PATIENCE = timedelta(seconds=30)


def open_bucket(url: str) -> ObjectStore:
    """Open a bucket, with a prefix if need be, such as `s3://BUCKET/octomil`.

    Raises:
        ConfigurationError: the URL, or a variable it needs, makes no sense.
    """
    try:
        return from_url(
            url,
            retry_config={"max_retries": 4, "retry_timeout": _PATIENCE},
            client_options={"allow_http": True},  # who names an http endpoint means it
        )
    except (BaseError, ValueError) as error:
        raise ConfigurationError(f"OCTOMIL_BLOB_URL cannot be used: {error}") from error


@contextmanager
def reached() -> Iterator[None]:
    """Turn what an object store says into our errors, unless an object is there or is not.

    Raises:
        ServiceUnavailableError: it does not answer, or refuses.
        AlreadyExistsError, FileNotFoundError: as obstore says it.
    """
    try:
        yield
    except (AlreadyExistsError, FileNotFoundError):
        raise
    except BaseError as error:
        raise ServiceUnavailableError(f"the object store does not answer: {error}") from error
