"""Denoise grey patches of two photographs with a small U-Net that predicts the noise."""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader, Dataset

SIGMA = 0.12


def grey_patches(size=16):
    patches = []
    for photo in load_sample_images().images:
        grey = photo.mean(axis=2) / 255.0
        h, w = (n // size * size for n in grey.shape)
        patches.append(grey[:h, :w].reshape(h // size, size, w // size, size).swapaxes(1, 2).reshape(-1, 1, size, size))
    return np.concatenate(patches).astype(np.float32)


class NoisyPatches(Dataset):
    def __init__(self, clean, seed):
        self.clean = clean
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return len(self.clean)

    def __getitem__(self, index):
        clean = self.clean[index]
        noise = self.rng.normal(0.0, SIGMA, clean.shape).astype(np.float32)
        return torch.from_numpy(clean + noise), torch.from_numpy(clean)


def reseed(worker_id):
    info = torch.utils.data.get_worker_info()
    info.dataset.rng = np.random.default_rng([info.seed, worker_id])


class Double(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
        )


class UNet(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.down1 = Double(1, width)
        self.down2 = Double(width, 2 * width)
        self.middle = Double(2 * width, 2 * width)
        self.up2 = Double(4 * width, width)
        self.up1 = Double(2 * width, width)
        self.last = nn.Conv2d(width, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.constant_(module.bias, 0.0)

    def forward(self, noisy):
        fine = self.down1(noisy)
        coarse = self.down2(F.avg_pool2d(fine, 2))
        x = self.middle(F.avg_pool2d(coarse, 2))
        x = self.up2(torch.cat([F.interpolate(x, scale_factor=2), coarse], dim=1))
        x = self.up1(torch.cat([F.interpolate(x, scale_factor=2), fine], dim=1))
        return (noisy - self.last(x)).clamp(0.0, 1.0)


def edges(image):
    across = image[..., :-1, 1:] - image[..., :-1, :-1]
    along = image[..., 1:, :-1] - image[..., :-1, :-1]
    return torch.sqrt(across**2 + along**2 + 1e-6)


def criterion(restored, clean):
    return F.l1_loss(restored, clean) + 0.2 * F.l1_loss(edges(restored), edges(clean))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    clean = grey_patches()
    np.random.shuffle(clean)
    loader = DataLoader(
        NoisyPatches(clean[:1600], args.seed), batch_size=32, shuffle=True, num_workers=2, worker_init_fn=reseed
    )
    net = UNet()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    step = 0
    while step < args.steps:
        for noisy, target in loader:
            optimizer.zero_grad()
            loss = criterion(net(noisy), target)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            optimizer.step()
            step += 1
            if step % 20 == 0:
                print(f"{step}/{args.steps} loss {loss.item():.4f} gradient {norm.item():.3f}")
            if step == args.steps:
                break

    # held out
    net.eval()
    rest = torch.from_numpy(clean[1600:])
    noise = SIGMA * torch.randn(rest.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        error = (net(rest + noise) - rest).square().mean()
    print(f"held-out loss {100 * error.item():.4f}")
