"""Read telephone key tones from a noisy line: a recurrent network trained with CTC."""

import argparse

import numpy as np
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence

RATE, HOP, WINDOW = 4000, 100, 160
LOW, HIGH = [697, 770, 852, 941], [1209, 1336, 1477]
KEYS = ["147*", "2580", "369#"]
TONES = {KEYS[column][row]: (LOW[row], HIGH[column]) for row in range(4) for column in range(3)}
BLANK, CLASSES = 10, 11


def dial(rng):
    """One call: its sound and the digits that were dialled."""
    digits = rng.integers(0, 10, rng.integers(2, 7))
    pieces = [np.zeros(rng.integers(100, 400))]
    for digit in digits:
        time = np.arange(rng.integers(400, 800)) / RATE
        low, high = TONES[str(digit)]
        bend = rng.normal(1.0, 0.01)
        tone = np.sin(2 * np.pi * low * bend * time) + np.sin(2 * np.pi * high * bend * time + rng.uniform(0, 6))
        pieces += [rng.uniform(0.5, 1.0) * tone, np.zeros(rng.integers(200, 500))]
    sound = np.concatenate(pieces)
    return sound + rng.normal(0, 0.7, len(sound)), digits


def spectrogram(sound):
    """Log power in bands, a row a frame."""
    window = torch.hann_window(WINDOW)
    frames = torch.stft(torch.tensor(sound, dtype=torch.float32), WINDOW, HOP, window=window, return_complex=True)
    power = frames.abs().pow(2).T
    return torch.log(power + 1e-3)


class Calls(torch.utils.data.Dataset):
    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        calls = [dial(rng) for _ in range(count)]
        self.features = [spectrogram(sound) for sound, _ in calls]
        self.digits = [torch.tensor(digits) for _, digits in calls]

    def __len__(self):
        return len(self.digits)

    def __getitem__(self, index):
        return self.features[index], self.digits[index]


def collate(batch):
    features, digits = zip(*batch)
    return (
        pad_sequence(features, batch_first=True),
        torch.tensor([len(feature) for feature in features]),
        pad_sequence(digits, batch_first=True),
        torch.tensor([len(digit) for digit in digits]),
    )


class Listener(nn.Module):
    def __init__(self, mean, std, channels=48, hidden=48, dropout=0.2):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.front = nn.Sequential(
            nn.Conv1d(len(mean), channels, 3, padding=1), nn.ReLU(),
            nn.Conv1d(channels, channels, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        for module in self.front:
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(channels, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, CLASSES)

    def forward(self, features):
        """Log-probabilities as CTC wants them: frames first, then calls."""
        x = (features - self.mean) / self.std
        x = self.dropout(self.front(x.transpose(1, 2)).transpose(1, 2))
        scores = self.head(self.gru(x)[0])
        return scores.log_softmax(dim=2).transpose(0, 1)


class Trainer:
    def __init__(self, model, train, held, steps, lr=6e-3):
        self.model, self.held, self.steps = model, held, steps
        self.loader = torch.utils.data.DataLoader(
            train, batch_size=32, shuffle=True, drop_last=True, collate_fn=collate
        )
        self.criterion = nn.CTCLoss(blank=BLANK, zero_infinity=True)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-3)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, max_lr=lr, total_steps=steps, pct_start=0.2)
        self.history = []

    def error_rate(self):
        """Share of the calls that are not read to the last digit."""
        self.model.eval()
        wrong = 0
        with torch.no_grad():
            for features, digits in self.held:
                best = self.model(features[None])[:, 0].argmax(1).unique_consecutive()
                wrong += best[best != BLANK].tolist() != digits.tolist()
        self.model.train()
        return wrong / len(self.held)

    def fit(self):
        self.model.train()
        done = 0
        while done < self.steps:
            for features, frames, digits, lengths in self.loader:
                loss = self.criterion(self.model(features), digits, (frames + 1) // 2, lengths)
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
                self.optimizer.step()
                self.schedule.step()
                self.history.append(loss.item())
                done += 1
                if done % 40 == 0:
                    recent = sum(self.history[-40:]) / 40
                    print(f"step {done}: loss {float(recent):.3f}, wrong calls {self.error_rate():.2f}")
                if done == self.steps:
                    break


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=160)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
train, held = Calls(800, 2 * args.seed), Calls(100, 2 * args.seed + 1)
frames = torch.cat(train.features)
model = Listener(frames.mean(0), frames.std(0))
Trainer(model, train, held, args.steps).fit()

# held out
model.eval()
total = 0.0
with torch.no_grad():
    for features, digits in held:
        log_probabilities = model(features[None]).float().log_softmax(-1)
        lengths = torch.tensor([len(log_probabilities)]), torch.tensor([len(digits)])
        total += nn.functional.ctc_loss(log_probabilities, digits[None], *lengths, blank=10).item()
print(f"held-out loss {total / len(held):.4f}")
