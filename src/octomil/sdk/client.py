"""`octomil.Client`: the control plane for whoever uses models, rather than keeps them."""

from octomil.sdk.cloud_inference import CloudInference
from octomil.sdk.connected import Connected


class Client(Connected, CloudInference):
    """What an application asks of the control plane: models, `rollouts` and `placement`.

    `stream_predict`, `stream_predict_async` and `embed` ask models that run elsewhere.
    """
