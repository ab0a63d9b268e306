"""What a tensor holds, whichever way it is laid out."""

import numpy as np
import torch
from torch import Tensor


def stored(tensor: Tensor) -> tuple[Tensor, ...]:
    """The dense tensors that it is made of; the last are its numbers.

    Args:
        tensor: dense, or sparse in any of torch's layouts.
    Example:
        >>> [each.tolist() for each in stored(torch.eye(2).to_sparse())]
        [[[0, 1], [0, 1]], [1.0, 1.0]]
    """
    if tensor.layout is torch.sparse_coo:
        # As they stand: to bring them in order would cost a sort.
        return tensor._indices(), tensor._values()
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
    return (tensor,)


def is_dense(tensor: Tensor) -> bool:
    """Whether every number of it is there, so that it has axes to walk along."""
    return tensor.layout is torch.strided


def is_same(one: Tensor, other: Tensor) -> bool:
    """Whether two hold the same numbers, in the same order where they are sparse.

    Example:
        >>> is_same(torch.eye(2), torch.eye(2)), is_same(torch.eye(2), torch.eye(2).to_sparse())
        (True, False)
    """
    if one.shape != other.shape or one.layout != other.layout:
        return False
    parts, others = stored(one.detach()), stored(other.detach())
    return all(torch.equal(mine, its) for mine, its in zip(parts, others, strict=True))


def octets(tensor: Tensor) -> np.ndarray:
    """The bytes of a dense tensor's numbers, in their order.

    Args:
        tensor: of any shape, type and device.
    Returns:
        As uint8, one after the other.
    Example:
        >>> octets(torch.tensor([[1], [2]], dtype=torch.int16)).tolist()
        [1, 0, 2, 0]
    """
    flat = tensor.detach().cpu().contiguous().flatten()
    # A single number is contiguous with any stride, and torch views it as bytes with stride 1 alone.
    return flat.as_strided((flat.numel(),), (1,)).view(torch.uint8).numpy()
