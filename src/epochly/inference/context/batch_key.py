"""Which calls may share a batch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchKey:
    """What calls must have in common to be answered by one run of the model.

    Attributes:
        model_id: the model.
        endpoint: what was called.
        input_shape_bucket: the input's shape, rounded up to the bucket it is padded to.
        dtype: the input's element type, such as `"float32"`.
        max_new_tokens: limit of generated tokens; None where nothing is generated.
        temperature: sampling temperature; None for the model's own.
        top_p: nucleus of the sampling; None for the model's own.
        pad_token_id: token that fills shorter inputs; None where nothing is padded.

    Example:
        >>> key = BatchKey(model_id=1, endpoint="/e", input_shape_bucket=(1, 128), dtype="int64")
        >>> {key: "queue"}[BatchKey(1, "/e", (1, 128), "int64")]
        'queue'
    """

    model_id: int
    endpoint: str
    input_shape_bucket: tuple[int, ...]
    dtype: str
    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        # A list of sizes would make the key unhashable, and a framework's own type compare oddly.
        bucket = tuple(int(size) for size in self.input_shape_bucket)
        object.__setattr__(self, "input_shape_bucket", bucket)
