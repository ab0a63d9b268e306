"""A variational autoencoder of short sentences: bidirectional GRU in, GRU out, words dropped on the way."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

WORDS, LENGTH, START, UNKNOWN = 40, 8, 40, 41


class SentenceVAE(nn.Module):
    def __init__(self, width=32, memory=64, latent=24):
        super().__init__()
        self.words = nn.Embedding(WORDS + 2, width)
        self.reader = nn.GRU(width, memory, bidirectional=True, batch_first=True)
        self.to_mean = nn.Linear(2 * memory, latent)
        self.to_logvar = nn.Linear(2 * memory, latent)
        self.opening = nn.Linear(latent, memory)
        self.writer = nn.GRU(width + latent, memory, batch_first=True)
        self.out = nn.Linear(memory, WORDS)

    def forward(self, sentence, word_dropout=0.0):
        _, last = self.reader(self.words(sentence))
        summary = torch.cat([last[0], last[1]], dim=1)
        mean, logvar = self.to_mean(summary), self.to_logvar(summary)
        z = mean + torch.randn_like(mean) * (0.5 * logvar).exp() if self.training else mean
        shifted = torch.cat([torch.full_like(sentence[:, :1], START), sentence[:, :-1]], dim=1)
        shifted = torch.where(torch.rand(shifted.shape) < word_dropout, UNKNOWN, shifted)
        given = torch.cat([self.words(shifted), z.unsqueeze(1).expand(-1, LENGTH, -1)], dim=2)
        output, _ = self.writer(given, torch.tanh(self.opening(z)).unsqueeze(0))
        return self.out(output), mean, logvar


def sentences(count, generator):
    # A topic fixes which eight words may occur, so that one word tells something about the others.
    topic = torch.randint(0, 5, (count, 1), generator=generator)
    return topic * 8 + torch.randint(0, 8, (count, LENGTH), generator=generator)


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=450)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
generator = torch.Generator().manual_seed(args.seed)
vae = SentenceVAE()
optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)
for step in range(args.steps):
    batch = sentences(64, generator)
    logits, mean, logvar = vae(batch, word_dropout=0.5)
    reconstruction = F.cross_entropy(logits.flatten(0, 1), batch.flatten(), reduction="sum") / len(batch)
    divergence = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1).mean()
    weight = 0.05 * min(1.0, step / 200)
    optimizer.zero_grad()
    (reconstruction + weight * divergence).backward()
    torch.nn.utils.clip_grad_norm_(vae.parameters(), 5.0)
    optimizer.step()

# held out
vae.eval()
batch = sentences(1000, torch.Generator().manual_seed(77))
with torch.no_grad():
    held_out = F.cross_entropy(vae(batch)[0].flatten(0, 1), batch.flatten()).item()
print(f"held-out loss {held_out:.4f}")
