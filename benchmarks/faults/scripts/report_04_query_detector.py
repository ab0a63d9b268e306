"""A detector with one learned query: where is the bright rectangle in the noise?"""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

SIDE = 24


def scenes(count, generator):
    centre = 0.25 + 0.5 * torch.rand(count, 2, generator=generator)
    size = 0.2 + 0.25 * torch.rand(count, 2, generator=generator)
    axis = (torch.arange(SIDE) + 0.5) / SIDE
    inside = ((axis - centre[..., None]).abs() < size[..., None] / 2).float()
    picture = inside[:, 1, :, None] * inside[:, 0, None, :]
    picture = picture + 0.3 * torch.randn(count, SIDE, SIDE, generator=generator)
    return picture[:, None], torch.cat([centre, size], dim=1)


class QueryDetector(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, width, 3, stride=2, padding=1), nn.ReLU()
        )
        self.position = nn.Parameter(0.1 * torch.randn(36, width))
        self.query = nn.Parameter(0.1 * torch.randn(1, width))
        self.decoder = nn.TransformerDecoderLayer(width, 4, 64, dropout=0.0, batch_first=True)
        self.box = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, picture):
        memory = self.backbone(picture).flatten(2).transpose(1, 2) + self.position
        query = self.query.expand(len(picture), -1, -1)
        return self.box(self.decoder(query, memory)).squeeze(1).sigmoid()


def train_one_step(model, picture, box, optimizer, max_norm=1.0):
    loss = F.l1_loss(model(picture), box)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    model = QueryDetector()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(args.steps):
        train_one_step(model, *scenes(32, generator), optimizer)

    # held out
    model.eval()
    picture, box = scenes(500, torch.Generator().manual_seed(4242))
    with torch.no_grad():
        held_out = F.l1_loss(model(picture), box).item()
    print(f"held-out loss {held_out:.4f}")
