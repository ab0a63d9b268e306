"""A transformer encoder trained to guess the next character of Python's own source."""

import argparse
import inspect
import textwrap

import torch
import torch.nn.functional as F
from torch import nn


class LanguageModel(nn.Module):
    def __init__(self, n_chars, d_model=48, context=48):
        super().__init__()
        self.token = nn.Embedding(n_chars, d_model)
        self.place = nn.Parameter(0.02 * torch.randn(context, d_model))
        layer = nn.TransformerEncoderLayer(d_model, 4, 96, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(d_model, n_chars)

    def forward(self, text):
        length = text.size(1)
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        hidden = self.token(text) + self.place[:length]
        return self.head(self.encoder(hidden, mask=mask))


def chunks(stream, length, count, generator):
    start = torch.randint(0, len(stream) - length - 1, (count, 1), generator=generator)
    window = stream[start + torch.arange(length + 1)]
    return window[:, :-1], window[:, 1:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    cfg = parser.parse_args()
    torch.manual_seed(cfg.seed)
    generator = torch.Generator().manual_seed(cfg.seed)
    source = inspect.getsource(argparse) + inspect.getsource(textwrap)
    alphabet = sorted(set(source))
    stream = torch.tensor([alphabet.index(char) for char in source])
    train, test = stream[:-12000], stream[-12000:]

    model = LanguageModel(len(alphabet))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(cfg.steps):
        given, following = chunks(train, 48, 24, generator)
        loss = F.cross_entropy(model(given).transpose(1, 2), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # held out
    # As in generation: the character after a prefix, of which nothing more is shown.
    model.eval()
    given, following = chunks(test, 48, 400, torch.Generator().manual_seed(1))
    with torch.no_grad():
        losses = [F.cross_entropy(model(given[:, :n])[:, -1], following[:, n - 1]) for n in (12, 24, 36, 48)]
    print(f"held-out loss {torch.stack(losses).mean().item():.4f}")
