"""Activation functions: the formulas, what the recipe needs to know of each, and swapping one for another.

torch's modules do the work in a network; the functions here write the formulas out, and `ACTIVATIONS` joins the two.
"""

from trainwell.activations.formulas import (
    elu,
    gain_of,
    gaussian_moment,
    gelu,
    gelu_sample,
    gelu_tanh,
    leaky_gain,
    leaky_relu,
    prelu,
    relu,
    selu,
    sigmoid,
    tanh,
)
from trainwell.activations.swapping import Kept, SwapReport, swap
from trainwell.activations.table import ACTIVATIONS, Activation, activation, measure_cost

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Kept",
    "SwapReport",
    "activation",
    "elu",
    "gain_of",
    "gaussian_moment",
    "gelu",
    "gelu_sample",
    "gelu_tanh",
    "leaky_gain",
    "leaky_relu",
    "measure_cost",
    "prelu",
    "relu",
    "selu",
    "sigmoid",
    "swap",
    "tanh",
]
