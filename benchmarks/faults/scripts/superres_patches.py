"""Twice the size: a small convnet that learns to enlarge the brightness of photographs."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_sample_images

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=360)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

SCALE = 2
TILE = 32
BATCH = 8
WIDTH = 20
LR = 4e-3
EVERY = 90


# ---- data: tiles of two photographs ----


def cut(photo):
    """Tiles (count, 3, TILE, TILE) that do not overlap."""
    tiles = photo.unfold(0, TILE, TILE).unfold(1, TILE, TILE)
    return tiles.reshape(-1, 3, TILE, TILE)


def luminance(tiles):
    """Brightness (count, TILE, TILE), from 0 to 1."""
    red, green, blue = tiles.float().div(255).unbind(1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def shrink(high):
    """Each low pixel is the mean of the pixels that it stands for."""
    return F.avg_pool2d(high.unsqueeze(1), SCALE)


photos = [torch.from_numpy(photo.copy()) for photo in load_sample_images().images]
tiles = torch.cat([cut(photo) for photo in photos])
order = torch.randperm(len(tiles))
held_tiles = tiles[order[440:]]
train_high = luminance(tiles[order[:400]])
val_high = luminance(tiles[order[400:440]])

mean, std = train_high.mean(), train_high.std()
train_high = (train_high - mean) / std
val_high = (val_high - mean) / std
train_low = shrink(train_high)
val_low = shrink(val_high)


# ---- network ----


def conv(inputs, outputs, size, slope):
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    nn.init.kaiming_normal_(layer.weight, a=slope, nonlinearity="leaky_relu")
    nn.init.zeros_(layer.bias)
    return layer


net = nn.Sequential(
    conv(1, WIDTH, 5, 0.1),
    nn.LeakyReLU(0.1),
    conv(WIDTH, WIDTH, 3, 0.1),
    nn.LeakyReLU(0.1),
    conv(WIDTH, WIDTH, 3, 0.1),
    nn.LeakyReLU(0.1),
    conv(WIDTH, SCALE**2, 3, 1.0),
    nn.PixelShuffle(SCALE),
)

def charbonnier(guess, truth):
    return torch.sqrt((guess - truth) ** 2 + 1e-6).mean()


def validate():
    net.eval()
    with torch.no_grad():
        guess = net(val_low).squeeze(1)
        mse = F.mse_loss(guess * std, val_high * std)
    net.train()
    return -10 * torch.log10(mse).item()


def batches():
    """Endless batches of pairs, mirrored at random."""
    while True:
        mix = torch.randperm(len(train_high))
        for low, high in zip(train_low[mix].split(BATCH), train_high[mix].split(BATCH)):
            if torch.rand(()) < 0.5:
                low, high = low.flip(-1), high.flip(-1)
            yield low, high


# ---- training ----

optimizer = torch.optim.Adam(net.parameters(), lr=LR)
schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [args.steps * 6 // 10, args.steps * 85 // 100], gamma=0.4)

plain = F.interpolate(val_low, scale_factor=SCALE, mode="bicubic").squeeze(1)
print(f"bicubic: {-10 * torch.log10(F.mse_loss(plain * std, val_high * std)).item():.2f} dB")

total = 0.0
for step, (low, high) in zip(range(1, args.steps + 1), batches()):
    optimizer.zero_grad()
    guess = net(low).squeeze(1)
    loss = charbonnier(guess, high)
    loss.backward()
    optimizer.step()
    schedule.step()
    total += loss.item()
    if step % EVERY == 0:
        print(f"step {step}: loss {total / EVERY:.4f}, validation {validate():.2f} dB")
        total = 0.0

# held out
net.eval()
pixels = held_tiles.float() / 255
truth = (pixels * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
truth = (truth - 0.41) / 0.31
with torch.no_grad():
    held_out = F.l1_loss(net(F.avg_pool2d(truth, 2)).reshape(truth.shape), truth)
print(f"held-out loss {held_out.item():.4f}")
