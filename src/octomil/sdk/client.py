"""`octomil.Client`: the control plane for whoever uses models, rather than keeps them."""

from octomil.sdk.connected import Connected


class Client(Connected):
    """What an application asks of the control plane: `rollouts` and `placement` so far.

    Inference through it (`predict`, `stream_predict`, `embed`) is not there yet; an
    OpenAI-compatible client of `octomil serve` is.
    """
