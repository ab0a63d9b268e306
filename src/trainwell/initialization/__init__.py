"""Weight initialization: the formulas, the schemes, and applying one to a network.

Initialization cares only for the start: after some training the weights no longer have these properties. Which gain
belongs to which activation is passed in (`trainwell.activations` holds them).
"""

from trainwell.initialization.apply import InitializedLayer, initialize
from trainwell.initialization.formulas import SCHEMES, Scheme, kaiming_std, lecun_std, small_random_std, xavier_std

__all__ = [
    "SCHEMES",
    "InitializedLayer",
    "Scheme",
    "initialize",
    "kaiming_std",
    "lecun_std",
    "small_random_std",
    "xavier_std",
]
