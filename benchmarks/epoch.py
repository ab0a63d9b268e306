"""Samples per second of the one loop, against a hand-written PyTorch loop, fastai and Lightning.

Two comparisons, each contender in a process of its own, one after the other, in turns (A B C, A B C, ...):
- convnet: the product's network for Fashion-MNIST-like images (28 x 28 x 1, batch 512, bf16 where the processor has it,
  shifts and alternating mirror images) by the one loop and by `bare.py`. Target: at least 0.95 of it.
- small: 28 x 28 x 3, three strided convolutions with batch norm (as fastai's `simple_cnn`), batch 128, no augmentation,
  by the one loop, fastai and Lightning as their users write them. Target: at least 4 times fastai. The one loop takes
  the precision that the product would choose here; `small-loop-float32` is the same in the peers' precision. `fastai`
  reads a folder of PNG files, `fastai-memory` decodes arrays in memory, `lightning` maps transforms over a
  TensorDataset. The one loop's images were decoded once, before: that is how the product works, and `decoding_seconds`
  says what it costs.

fastai and Lightning live in an environment of their own (`requirements.txt`), named by --peers; without it they are
left out. Writes results/epoch.jsonl: a line a comparison, with every round's figures. Rounds that were measured are
kept in results/epoch-rounds.jsonl, so that a run that was interrupted goes on.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from results import Results, arguments

DEPENDS = (
    "benchmarks/epoch.py",
    "benchmarks/bare.py",
    "src/trainwell/training",
    "src/trainwell/search/augment.py",
    "src/trainwell/search/rung.py",
    "src/trainwell/augmentation",
    "src/trainwell/models/convnet.py",
    "src/trainwell/models/image_input.py",
)
SMALL_BATCH = 128
CONVNET_BATCH = 512


def pictures(count: int, channels: int) -> tuple[Any, Any]:
    """Noise around a brightness that says the class: (samples, 28, 28, channels) in uint8, and labels."""
    import torch

    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 10
    images = torch.randint(0, 130, (count, 28, 28, channels), generator=draw, dtype=torch.uint8)
    return images + (12 * labels).to(torch.uint8)[:, None, None, None], labels


def small_network() -> Any:
    """Three convolutions with batch norm, as in every tutorial: takes (batch, 3, 28, 28) in float32."""
    from torch import nn

    layers: list[nn.Module] = []
    widths = (3, 16, 32, 64)
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def bare(options: argparse.Namespace) -> dict[str, float]:
    """`bare.py`, as it stands."""
    from bare import run

    images, labels = pictures(options.images, 1)
    found = run(
        images,
        labels,
        epochs=options.epochs,
        batch_size=min(CONVNET_BATCH, options.images),
        threads=options.threads,
        precision=options.precision,
        seed=0,
        test=(images[:256], labels[:256]),
    )
    return {name: found[name] for name in ("samples_per_second", "seconds", "cpu_seconds")}


def loop(options: argparse.Namespace) -> dict[str, float]:
    """The one loop as a rung drives it, on the network and with the augmentation of `bare.py`."""
    from bare import AVERAGED, DEPTH, LR, MOMENTUM, SHIFT, SMOOTHING, WARMUP, WEIGHT_DECAY, WIDTH
    from torch import nn

    from trainwell.core.records.hyperparameters import (
        Architecture,
        Augmentation,
        Hyperparameters,
        Optimization,
        Regularization,
        Schedule,
    )
    from trainwell.core.records.layout import InputLayout
    from trainwell.core.seeds import generator
    from trainwell.models.convnet import ConvNet
    from trainwell.models.image_input import ImageInput

    images, labels = pictures(options.images, 1)
    entry = ImageInput(InputLayout(kind="image", height=28, width=28, channels=1))
    entry.fit(images)
    draw = generator(0, "weights")
    network = ConvNet(entry, width=WIDTH, depth=DEPTH, outputs=10, activation=nn.GELU, generator=draw)
    point = Hyperparameters(
        architecture=Architecture(name="convnet", width=WIDTH, depth=DEPTH),
        activation="gelu",
        regularization=Regularization(weight_decay=WEIGHT_DECAY, label_smoothing=SMOOTHING),
        augmentation=Augmentation(flip="alternating", translate=SHIFT),
        optimization=Optimization(
            optimizer="sgd", lr=LR, momentum=MOMENTUM, batch_size=CONVNET_BATCH, averaging=AVERAGED
        ),
        schedule=Schedule(decay="linear", warmup_fraction=WARMUP, decay_fraction=1 - WARMUP),
    )
    return _looped(options, network, images, labels, point, precision=options.precision, warm_up_epochs=0)


def small_loop(options: argparse.Namespace) -> dict[str, float]:
    """The one loop on the small network, as it trains a network of the user's own."""
    from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Optimization
    from trainwell.core.records.layout import InputLayout
    from trainwell.models.build import Wrapped
    from trainwell.models.image_input import ImageInput

    images, labels = pictures(options.images, 3)
    entry = ImageInput(InputLayout(kind="image", height=28, width=28, channels=3), whitening=False)
    entry.fit(images)
    point = Hyperparameters(architecture=Architecture(name="small"), optimization=Optimization(batch_size=SMALL_BATCH))
    network = Wrapped(entry, small_network())
    found = _looped(options, network, images, labels, point, precision=options.precision, warm_up_epochs=1)
    return found | _decoding(images)


def small_loop_float32(options: argparse.Namespace) -> dict[str, float]:
    """The same in float32, as the peers compute."""
    return small_loop(argparse.Namespace(**(vars(options) | {"precision": "float32"})))


def _looped(
    options: argparse.Namespace,
    network: Any,
    images: Any,
    labels: Any,
    point: Any,
    *,
    precision: Any,
    warm_up_epochs: int,
) -> dict[str, float]:
    import functools

    import torch

    from trainwell.core.records.layout import OutputLayout
    from trainwell.search.augment import Augment
    from trainwell.training.averaging import Averaging
    from trainwell.training.loop import train
    from trainwell.training.objective import Objective
    from trainwell.training.optimizer import build_optimizer, build_schedule
    from trainwell.training.setup import Setup

    torch.set_num_threads(options.threads)
    output = OutputLayout(task="classification", size=10, names=tuple("0123456789"))
    size = min(point.optimization.batch_size, len(images))
    per_epoch = len(images) // size
    augment = Augment(
        point.augmentation, point.regularization, kind="image", output=output, steps_per_epoch=per_epoch, seed=1
    )
    setup = Setup(
        model=network,
        inputs=images,
        targets=labels,
        train=torch.arange(len(images)),
        validation=torch.arange(0),
        output=output,
        loss=Objective(output=output, label_smoothing=point.regularization.label_smoothing),
        optimizer=functools.partial(build_optimizer, hyperparameters=point),
        batch_size=size,
        change=augment if augment.changes_anything else None,
        precision=precision,
    )
    warm_up, total = warm_up_epochs * per_epoch, (warm_up_epochs + options.epochs) * per_epoch
    decay_from = max(round((1 - point.schedule.decay_fraction) * total), 1)
    share = point.optimization.averaging
    averaging = Averaging(network, horizon=max(round(share * total), 1)) if share > 0 else None
    # Made before the clock starts, as in `bare.py`: a process's first optimizer imports torch's compiler.
    steps = train(
        network,
        setup.batches(),
        loss=setup.loss,
        optimizer=setup.optimizer(network),
        schedule=build_schedule(point, total_steps=total, decay_from=decay_from),
        until_step=total,
        seed=0,
        precision=precision,
        averaging=averaging,
    )
    loss_sum = torch.zeros(())
    started, started_cpu = time.perf_counter(), time.process_time()
    for record in steps:
        loss_sum += record.loss
        if record.step == warm_up:
            started, started_cpu = time.perf_counter(), time.process_time()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    return {
        "samples_per_second": (total - warm_up) * size / seconds,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }


def _decoding(images: Any) -> dict[str, float]:
    """What reading and decoding PNG files into the cache costs, once."""
    from trainwell.data.prepare import prepare

    with tempfile.TemporaryDirectory() as folder:
        _write_files(images, Path(folder) / "png")
        began = time.perf_counter()
        prepare(Path(folder) / "png", cache=Path(folder) / "cache")
        return {"decoding_seconds": time.perf_counter() - began}


def _write_files(images: Any, folder: Path) -> None:
    from PIL import Image

    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    for i, picture in enumerate(images.numpy()):
        Image.fromarray(picture).save(folder / str(i % 10) / f"{i:06}.png")


def _without_operators() -> None:
    """torchvision's wheel has compiled operators that a CPU-only torch may not load; nobody here needs them."""
    import torch

    global _operators
    try:
        import torchvision  # noqa: F401 - imported here so that what was declared above serves it
    except RuntimeError:
        _operators = torch.library.Library("torchvision", "DEF")
        _operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]


_operators: Any = None


def fastai_files(options: argparse.Namespace) -> dict[str, float]:
    """fastai on a folder of PNG files: `ImageDataLoaders.from_folder`, its workers and all."""
    _without_operators()
    from fastai.vision.all import ImageDataLoaders

    images, _ = pictures(options.images, 3)
    with tempfile.TemporaryDirectory() as folder:
        _write_files(images, Path(folder) / "train")
        _write_files(images[:SMALL_BATCH], Path(folder) / "valid")
        return _learned(options, ImageDataLoaders.from_folder(folder, bs=SMALL_BATCH))


def fastai_memory(options: argparse.Namespace) -> dict[str, float]:
    """fastai on arrays in memory: a DataBlock that makes a picture of each."""
    _without_operators()
    from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, IndexSplitter

    images, labels = pictures(options.images, 3)
    arrays, names = images.numpy(), labels.tolist()
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_x=lambda i: arrays[i],
        get_y=lambda i: names[i],
        splitter=IndexSplitter(list(range(SMALL_BATCH))),
    )
    return _learned(options, block.dataloaders(list(range(len(arrays))), bs=SMALL_BATCH))


def _learned(options: argparse.Namespace, loaders: Any) -> dict[str, float]:
    from fastai.vision.all import Callback, CrossEntropyLossFlat, Learner

    class Clock(Callback):  # type: ignore[misc]  # fastai has no types
        seconds = cpu_seconds = 0.0
        samples = 0

        def before_train(self) -> None:
            self.began, self.began_cpu = time.perf_counter(), _cpu()

        def after_batch(self) -> None:
            self.samples += len(self.learn.xb[0]) if self.training else 0

        def after_train(self) -> None:
            self.seconds += time.perf_counter() - self.began
            self.cpu_seconds += _cpu() - self.began_cpu

    learner = Learner(loaders, small_network(), loss_func=CrossEntropyLossFlat())
    with learner.no_bar(), learner.no_logging():
        learner.fit(1)
        clock = Clock()
        learner.fit(options.epochs, cbs=clock)
    return {
        "samples_per_second": clock.samples / clock.seconds,
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
    }


def _cpu() -> float:
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system


def lightning(options: argparse.Namespace) -> dict[str, float]:
    """Lightning with a DataLoader as its users leave it: transforms mapped over a TensorDataset, no workers."""
    import logging
    import warnings

    _without_operators()
    import torch
    from lightning import LightningModule, Trainer
    from torch.utils.data import DataLoader, Dataset, TensorDataset
    from torchvision import transforms

    logging.getLogger("lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    images, labels = pictures(options.images, 3)
    change = transforms.Compose(
        [transforms.ConvertImageDtype(torch.float32), transforms.Normalize((0.5,) * 3, (0.25,) * 3)]
    )
    plain = TensorDataset(images.permute(0, 3, 1, 2).contiguous(), labels)

    class Transformed(Dataset):  # type: ignore[type-arg]  # users do not parametrize it
        def __len__(self) -> int:
            return len(plain)

        def __getitem__(self, i: int) -> Any:
            image, label = plain[i]
            return change(image), label

    class Network(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = small_network()
            self.times: list[tuple[float, float]] = []

        def training_step(self, batch: Any, _: int) -> Any:
            return torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

        def on_train_epoch_start(self) -> None:
            self.times.append((time.perf_counter(), _cpu()))

        def on_train_epoch_end(self) -> None:
            self.times.append((time.perf_counter(), _cpu()))

    network = Network()
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_epochs=1 + options.epochs, accelerator="cpu", enable_model_summary=False, **quiet)
    trainer.fit(network, DataLoader(Transformed(), batch_size=SMALL_BATCH, shuffle=True))
    epochs = list(zip(network.times[2::2], network.times[3::2]))
    seconds = sum(end[0] - start[0] for start, end in epochs)
    cpu_seconds = sum(end[1] - start[1] for start, end in epochs)
    return {
        "samples_per_second": len(epochs) * len(plain) / seconds,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }


def in_a_process(python: str, name: str, options: argparse.Namespace) -> dict[str, float]:
    """One contender, alone in a process."""
    given = [f"--{key}={getattr(options, key)}" for key in ("images", "epochs", "threads", "precision")]
    done = subprocess.run(
        [python, __file__, "--contender", name, *given],
        env=os.environ | {"OMP_NUM_THREADS": str(options.threads), "MKL_NUM_THREADS": str(options.threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def figures(first: str, rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Medians and spread of each contender, and the first one's lead over each other, round by round."""
    found: dict[str, Any] = {"n": len(rounds)}
    for name in rounds[0]:
        speeds = [each[name]["samples_per_second"] for each in rounds]
        found[name] = {
            "samples_per_second": statistics.median(speeds),
            "low": min(speeds),
            "high": max(speeds),
            "cpu_seconds": statistics.median(each[name]["cpu_seconds"] for each in rounds),
        }
        if name != first:
            ratios = [each[first]["samples_per_second"] / each[name]["samples_per_second"] for each in rounds]
            found[f"ratio_to_{name}"] = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    return found


def native_bf16() -> bool:
    """Whether the processor multiplies bf16 itself."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def compare(
    case: str, first: str, others: dict[str, str], options: argparse.Namespace, results: Results, rounds: Results
) -> None:
    """Run the contenders in turns; keep every round, and the comparison at the end."""
    setting = {key: getattr(options, key) for key in ("images", "epochs", "threads", "precision")}
    if results.has(case):
        return
    seen = []
    for number in range(options.rounds):
        name = f"{case} {json.dumps(setting)} round {number}"
        if not rounds.has(name):
            contenders = {first: sys.executable, **others}
            rounds.add(name, **{each: in_a_process(python, each, options) for each, python in contenders.items()})
        line = next(line for line in rounds.lines() if line["case"] == name)
        seen.append({each: line[each] for each in (first, *others)})
    results.add(case, **setting, **figures(first, seen), rounds=seen)


def main() -> None:
    options = arguments(__doc__ or "")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--images", type=int, default=10_000)
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument(
        "--precision", choices=("bfloat16", "float32"), default="bfloat16" if native_bf16() else "float32"
    )
    options.add_argument("--peers", help="Python with the packages of requirements.txt")
    options.add_argument("--contender", choices=sorted(CONTENDERS), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.contender:
        print(json.dumps(CONTENDERS[chosen.contender](chosen)))
        return
    results, rounds = (Results(name, depends=DEPENDS, folder=chosen.results) for name in ("epoch", "epoch-rounds"))
    compare("convnet", "loop", {"bare": sys.executable}, chosen, results, rounds)
    if chosen.peers is None:
        print("fastai and Lightning are left out: no --peers was given.")
        return
    peers = {"small-loop-float32": sys.executable} | dict.fromkeys(
        ("fastai", "fastai-memory", "lightning"), chosen.peers
    )
    compare("small", "small-loop", peers, chosen, results, rounds)


CONTENDERS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "loop": loop,
    "bare": bare,
    "small-loop": small_loop,
    "small-loop-float32": small_loop_float32,
    "fastai": fastai_files,
    "fastai-memory": fastai_memory,
    "lightning": lightning,
}
"""Who takes part; each alone in a process."""


if __name__ == "__main__":
    main()
