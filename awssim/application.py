"""The layers, in the order a request meets them."""

from awssim.asgi import App
from awssim.dispatch import Dispatch
from awssim.layers.bodies import Bodies
from awssim.layers.closed import Closed
from awssim.layers.durable import Durable
from awssim.layers.health import Health
from awssim.layers.registry import Images
from awssim.layers.review import TokenReview
from awssim.layers.signature import Signatures
from awssim.stand import Stand

LAYERS = (Health, TokenReview, Images, Closed, Signatures, Durable, Bodies)


def application(stand: Stand) -> App:
    """The ASGI program: every layer around the next, ministack innermost."""
    inner: App = Dispatch(stand.ministack, stand.settings)
    for layer in reversed(LAYERS):
        inner = layer(inner, stand)
    return inner
