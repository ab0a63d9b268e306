"""The notes' table of transfer learning."""

from matplotlib.figure import Figure

from trainwell.pictures import transfer


def transfer_table() -> Figure:
    """What to do with pretrained weights, by how much data there are and how like the pretraining's they are."""
    return transfer.transfer_table()
