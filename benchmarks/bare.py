"""The yardstick of the product's loop: the same network trained by a plain PyTorch loop, as fast as it can be written.

Tensors in memory, channels last, bf16 autocast, random shifts by one gather from a view of all shifts, alternating
mirror images, label smoothing, Nesterov's SGD in one fused kernel, linear warm-up and decay, averaged weights.
"""

import copy
import time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trainwell.core.records.layout import InputLayout
from trainwell.models.convnet import ConvNet
from trainwell.models.image_input import ImageInput
from trainwell.regularization import parameter_groups

WIDTH, DEPTH, SHIFT, SMOOTHING = 32, 2, 2, 0.1
LR, WEIGHT_DECAY, MOMENTUM, WARMUP, AVERAGED = 0.8, 5e-4, 0.85, 0.2, 0.02


def run(
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    threads: int,
    precision: str,
    seed: int,
    test: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Any]:
    """Train on uint8 images (samples, height, width, channels); accuracy on `test`, else on the images themselves."""
    torch.set_num_threads(threads)
    draws = torch.Generator().manual_seed(seed)
    count, height, width, channels = images.shape
    entry = ImageInput(InputLayout(kind="image", height=height, width=width, channels=channels))
    entry.fit(images)
    model = ConvNet(entry, width=WIDTH, depth=DEPTH, outputs=int(labels.max()) + 1, generator=draws)
    groups = parameter_groups(model, weight_decay=WEIGHT_DECAY)
    optimizer = torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM, nesterov=True, fused=True)
    averaged = copy.deepcopy(model)
    live = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
    mean = [tensor for tensor in averaged.state_dict().values() if tensor.is_floating_point()]
    # windows[i, y, x] is image i shifted by (y, x): a view, so that a batch is cut out and gathered in one go.
    padded = functional.pad(images, (0, 0, SHIFT, SHIFT, SHIFT, SHIFT))
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)
    parity = torch.randint(2, (count,), generator=draws)
    steps_per_epoch = count // batch_size
    total = epochs * steps_per_epoch
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")
    started, started_cpu = time.perf_counter(), time.process_time()
    for step in range(total):
        epoch, place = divmod(step, steps_per_epoch)
        if place == 0:
            order = torch.randperm(count, generator=draws)
        index = order[place * batch_size : (place + 1) * batch_size]
        shifts = torch.randint(2 * SHIFT + 1, (2, batch_size), generator=draws)
        batch = windows[index, shifts[0], shifts[1]]
        mirrored = (parity[index] + epoch).remainder(2).bool().view(-1, 1, 1, 1)
        batch = torch.where(mirrored, batch.flip(3), batch).permute(0, 2, 3, 1)
        for group in optimizer.param_groups:
            group["lr"] = LR * min((step + 1) / (WARMUP * total), (total - step) / ((1 - WARMUP) * total))
        with autocast:
            logits = model(batch).float()
        torch.autograd.backward(functional.cross_entropy(logits, labels[index], label_smoothing=SMOOTHING))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch._foreach_lerp_(mean, live, max(1.0 / (step + 1), min(1.0, 1.0 / (AVERAGED * total))))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    averaged.eval()
    with torch.no_grad(), autocast:
        shown, truth = test or (images, labels)
        votes = [averaged(part) + averaged(part.flip(2)) for part in torch.split(shown, 1000)]
    accuracy = float((torch.cat(votes).argmax(1) == truth).double().mean())
    speed = total * batch_size / seconds
    return {"samples_per_second": speed, "seconds": seconds, "cpu_seconds": cpu_seconds, "accuracy": accuracy}
