"""Identifies the product that a source is, from a sample of its messages.

    identify(frames).product     # "Fortinet FortiGate", or None
    identify(frames).reason      # "date= time= devname= devid= in 214 of 214 messages"

The ``table_*`` modules have one row a product: the literals and shapes of its messages. To add a product, add a row and
a sample of its messages (``tests/unit/syslog/samples``). The package uses no clock, reactor or file.
"""

from bridge.explain.products.identify import Identification, identify, spread
from bridge.explain.products.signature import Product
from bridge.explain.products.weights import PRODUCTS

__all__ = ["PRODUCTS", "Identification", "Product", "identify", "spread"]
