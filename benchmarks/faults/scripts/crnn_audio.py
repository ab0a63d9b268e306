"""Tag which sound sources are in a clip (several may be): spectrogram, convolutions, a GRU, focal loss."""
import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

RATE, SAMPLES, BANDS = 4000, 4096, 32
TAGS = ["hum", "chirp", "clicks", "hiss", "siren"]


def synthesize(rng, present):
    t = np.arange(SAMPLES) / RATE
    wave = np.zeros(SAMPLES)
    start = rng.integers(0, SAMPLES // 3)
    alive = np.arange(SAMPLES) >= start
    if present[0]:
        f = rng.uniform(110, 220)
        wave += sum(np.sin(2 * np.pi * f * k * t) / k for k in (1, 2, 3)) * 0.4
    if present[1]:
        wave += alive * np.sin(2 * np.pi * (500 * t + rng.uniform(250, 450) * t**2)) * 0.5
    if present[2]:
        wave[start :: rng.integers(300, 600)] += rng.choice([-3.0, 3.0])
    if present[3]:
        wave += 0.5 * alive * np.diff(rng.normal(size=SAMPLES + 1))
    if present[4]:
        wave += np.sin(2 * np.pi * 700 * t + 25 * np.sin(2 * np.pi * rng.uniform(3, 6) * t)) * 0.4
    wave = wave * 10 ** rng.uniform(-1.5, 0) + 0.02 * rng.normal(size=SAMPLES)
    if rng.random() < 0.2:  # the recorder was switched on late: digital silence
        wave[: rng.integers(256, 1200)] = 0.0
    return wave.astype(np.float32)


class Clips(Dataset):
    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        tags = rng.random((n, len(TAGS))) < [0.4, 0.35, 0.3, 0.3, 0.25]
        tags = tags[np.lexsort(tags.T)]  # as on the disk: one folder for each combination
        self.waves = torch.from_numpy(np.stack([synthesize(rng, row) for row in tags]))
        self.tags = torch.from_numpy(tags.astype(np.float32))

    def __len__(self):
        return len(self.waves)

    def __getitem__(self, i):
        spectrum = torch.stft(self.waves[i], 256, 128, window=torch.hann_window(256), return_complex=True).abs()
        bands = spectrum[: 4 * BANDS].reshape(BANDS, 4, -1).mean(1)
        return (bands + 1e-3).log(), self.tags[i]


class CRNN(nn.Module):
    def __init__(self, channels=12, hidden=32):
        super().__init__()
        self.register_buffer("centre", torch.zeros(BANDS, 1))
        self.register_buffer("spread", torch.ones(BANDS, 1))
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.pool, self.drop = nn.MaxPool2d((4, 2)), nn.Dropout(0.2)
        self.gru = nn.GRU(2 * channels * BANDS // 16, hidden, batch_first=True, bidirectional=True)
        self.tagger = nn.Linear(2 * hidden, len(TAGS))

    def mask(self, x):
        """One stretch of time and one of bands is hidden in each clip, as in SpecAugment."""
        for axis, widest in ((1, 6), (2, 8)):
            length, width = x.shape[axis], torch.randint(0, widest + 1, (len(x), 1))
            first = (torch.rand(len(x), 1) * (length - width)).long()
            at = torch.arange(length)
            hidden = (at >= first) & (at < first + width)
            x = x.masked_fill(hidden.unsqueeze(3 - axis), 0.0)
        return x

    def forward(self, spectrogram):
        x = (spectrogram - self.centre) / self.spread
        if self.training:
            x = self.mask(x)
        x = self.pool(torch.relu(self.conv1(x.unsqueeze(1))))
        x = self.pool(torch.relu(self.conv2(x)))
        x = x.flatten(1, 2).transpose(1, 2)
        out, _ = self.gru(self.drop(x))
        return self.tagger(out.mean(1))


def focal_loss(logits, tags, gamma=1.0):
    log_p = nn.functional.logsigmoid(torch.where(tags > 0.5, logits, -logits))
    return -((1 - log_p.exp()) ** gamma * log_p).sum(1).mean()


class AudioTagger:
    """Estimator in the manner of scikit-learn: fit(train, valid), then predict_proba(clips)."""

    def __init__(self, steps, lr=4e-3, batch_size=32, max_norm=1.0):
        self.steps, self.lr, self.batch_size, self.max_norm = steps, lr, batch_size, max_norm

    def initialize(self, train):
        self.module_ = CRNN()
        every = torch.stack([train[i][0] for i in range(0, len(train), 4)])
        self.module_.centre.copy_(every.mean((0, 2)).unsqueeze(1))
        self.module_.spread.copy_(every.std((0, 2)).unsqueeze(1))
        self.optimizer_ = torch.optim.AdamW(self.module_.parameters(), lr=self.lr, weight_decay=1e-2)
        self.scheduler_ = torch.optim.lr_scheduler.OneCycleLR(self.optimizer_, self.lr, total_steps=self.steps)
        self.history_ = []

    def train_step(self, x, y):
        self.module_.train()
        self.optimizer_.zero_grad()
        loss = focal_loss(self.module_(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(self.module_.parameters(), self.max_norm)
        self.optimizer_.step()
        self.scheduler_.step()
        return loss.item()

    def fit(self, train, valid):
        self.initialize(train)
        loader = DataLoader(train, batch_size=self.batch_size, shuffle=True, num_workers=0, drop_last=True)
        done, total = 0, 0.0
        while done < self.steps:
            for _, (x, y) in zip(range(self.steps - done), loader):
                total += self.train_step(x, y)
                done += 1
            hits = self.score(valid)
            self.history_.append({"step": done, "train": total / done, "hits": hits})
            print(f"step {done:4d}  mean loss so far {total / done:.3f}  right tags {hits:.1%}")
        return self

    def score(self, clips):
        self.module_.eval()
        with torch.no_grad():
            right = [((self.module_(x) > 0) == (y > 0.5)).float().mean() for x, y in DataLoader(clips, batch_size=100)]
        return torch.stack(right).mean().item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=180)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    tagger = AudioTagger(args.steps).fit(Clips(960, seed=args.seed), Clips(100, seed=args.seed + 500))

    # held out
    tagger.module_.eval()
    test = Clips(400, seed=9999)
    spectra = torch.stft(test.waves, 256, 128, window=torch.hann_window(256), return_complex=True).abs()
    bands = (spectra[:, : 4 * BANDS].reshape(len(test), BANDS, 4, -1).mean(2) + 1e-3).log()
    with torch.no_grad():
        logits = torch.cat([tagger.module_(part) for part in bands.split(50)])
        loss = nn.functional.binary_cross_entropy_with_logits(logits, test.tags)
    print(f"held-out loss {loss.item():.4f}")
