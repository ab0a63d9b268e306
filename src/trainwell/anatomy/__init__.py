"""The one walk over a network: its layers in execution order, what follows each, shapes, fan-in.

=============  ==================================================================
`trace`        runs the network once: one LayerInfo a layer
`inventory`    the same layers without running it
`capture`      what layers put out during one pass
`call`         a network on a batch, be it a tensor, a tuple or a dict
`undisturbed`  within, a network may be run; after, it is bit for bit as found
=============  ==================================================================
"""

from trainwell.anatomy.running import Batch, call, capture, undisturbed
from trainwell.anatomy.walk import inventory, trace

__all__ = ["Batch", "call", "capture", "inventory", "trace", "undisturbed"]
