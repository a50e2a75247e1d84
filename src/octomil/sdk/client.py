"""`octomil.Client`: the control plane for whoever uses models, rather than keeps them."""

from octomil.sdk.cloud_inference import CloudInference
from octomil.sdk.local_inference import LocalInference


class Client(CloudInference, LocalInference):
    """What an application asks of the control plane: models, `rollouts` and `placement`.

    `predict`, `predict_stream` and `load_model` run models on this machine; `stream_predict`,
    `stream_predict_async` and `embed` ask models that run elsewhere.
    """
