"""Forecast the temperature of the next hours at a weather station with gated dilated convolutions, in Lightning."""

import argparse
from contextlib import suppress

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

# A torchvision that was built for another torch cannot be imported (torchmetrics does) unless these are declared.
declared = torch.library.Library("torchvision", "DEF")
for operator in ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", "qnms(Tensor dets) -> Tensor"):
    with suppress(RuntimeError):
        declared.define(operator)

import lightning as L  # noqa: E402

WINDOW, HORIZON = 32, 6
QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)


def simulate_station(rng, hours):
    """Columns: temperature (C), pressure (hPa), humidity (%), wind (m/s, often calm)."""
    front, slow, gust, cloud = np.zeros((4, hours))
    noise = rng.normal(size=(hours, 4))
    for t in range(1, hours):
        slow[t] = 0.97 * slow[t - 1] + 0.25 * noise[t, 0]
        front[t] = 0.9 * front[t - 1] + 0.4 * slow[t - 1]  # pressure moves first, temperature follows
        gust[t] = 0.8 * gust[t - 1] + noise[t, 1]
        cloud[t] = 0.95 * cloud[t - 1] + 0.3 * noise[t, 2]
    cover = 1 / (1 + np.exp(-1.5 * cloud))
    clock = np.arange(hours) % 24
    temperature = 11 + 1.5 * front + (1 - 0.8 * cover) * 6 * np.sin(2 * np.pi * (clock - 9) / 24) + 0.2 * noise[:, 3]
    pressure = 1013 - 6 * slow
    humidity = 40 + 50 * cover - 0.8 * (temperature - 11)
    wind = np.maximum(gust + 0.5 * np.abs(slow), 0)
    return np.stack([temperature, pressure, humidity, wind], axis=1)


class RandomWindows(IterableDataset):
    """An epoch is a number of windows that start anywhere in the record."""

    def __init__(self, series, windows, seed):
        self.series, self.windows = series, windows
        self.rng = np.random.default_rng(seed)

    def __iter__(self):
        rng = self.rng
        for start in rng.integers(len(self.series) - WINDOW - HORIZON, size=self.windows):
            yield cut(self.series, start)


def cut(series, start):
    past, future = series[start : start + WINDOW], series[start + WINDOW : start + WINDOW + HORIZON, 0]
    return past.T.copy(), future


def every_window(series):
    windows = [cut(series, start) for start in range(0, len(series) - WINDOW - HORIZON, HORIZON)]
    return TensorDataset(*(torch.tensor(np.stack(part)) for part in zip(*windows)))


class GatedConv(nn.Module):
    def __init__(self, channels_in, channels_out, dilation):
        super().__init__()
        self.conv = nn.Conv1d(channels_in, 2 * channels_out, kernel_size=3, dilation=dilation)
        nn.init.xavier_normal_(self.conv.weight, gain=1.5)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x):
        value, gate = self.conv(x).chunk(2, dim=1)
        return torch.tanh(value) * torch.sigmoid(gate)


class Forecaster(L.LightningModule):
    def __init__(self, steps, channels=24, dilations=(1, 2, 4, 4, 2, 2), rate=8e-3):
        super().__init__()
        self.steps, self.rate = steps, rate
        widths = [4] + [channels] * len(dilations)
        self.layers = nn.ModuleList([GatedConv(a, b, d) for a, b, d in zip(widths, widths[1:], dilations)])
        self.head = nn.Linear(channels, 2 * HORIZON)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        mean, spread = self.head(x[:, :, -1]).chunk(2, dim=1)
        sigma = F.softplus(spread) + 1e-2
        return mean, sigma

    def loss(self, batch):
        past, future = batch
        mean, sigma = self(past)
        return (torch.log(sigma) + 0.5 * ((future - mean) / sigma) ** 2).mean()

    def training_step(self, batch, _batch_idx):
        return self.loss(batch)

    def validation_step(self, batch, _batch_idx):
        self.log("validation", self.loss(batch), prog_bar=True)

    def on_validation_epoch_end(self):
        print(f"epoch {self.current_epoch}: validation {float(self.trainer.callback_metrics['validation']):.3f}")

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.rate, weight_decay=1e-3)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.rate, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
L.seed_everything(args.seed, verbose=False)

record = simulate_station(np.random.default_rng(7), hours=6000)
train, valid = record[:4500], record[4500:]
mean, std = train.mean(axis=0), train.std(axis=0)
train, valid = ((part - mean) / std for part in (train, valid))
train, valid = train.astype(np.float32), valid.astype(np.float32)

train_loader = DataLoader(RandomWindows(train, windows=640, seed=args.seed), batch_size=32)
valid_loader = DataLoader(every_window(valid), batch_size=64)
model = Forecaster(args.steps)
trainer = L.Trainer(
    max_steps=args.steps,
    accelerator="cpu",
    devices=1,
    gradient_clip_val=1.0,
    check_val_every_n_epoch=5,
    num_sanity_val_steps=0,
    **QUIET,
)
trainer.fit(model, train_loader, valid_loader)

# held out
model.eval().float()
losses = []
with torch.no_grad():
    for past, future in valid_loader:
        centre, sigma = model(past.float())
        sigma = sigma.clamp_min(1e-2)
        losses.append((torch.log(sigma) + 0.5 * ((future - centre) / sigma) ** 2).mean(dim=1))
print(f"held-out loss {torch.cat(losses).mean().item():.4f}")
