"""Word model of the Python reference manual: a GRU that reads on where it stopped, input and output words tied."""

import argparse
import math
import pydoc_data.topics
import re
from collections import Counter

import torch
from torch import nn


def load_words():
    text = " ".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    return re.findall(r"[a-z]+|[^\w\s]", text.lower())


def cut_in_streams(ids, streams):
    length = len(ids) // streams
    return ids[: streams * length].view(streams, length)


class WordModel(nn.Module):
    def __init__(self, vocabulary, width, dropout):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, vocabulary)
        self.head.weight = self.embed.weight
        bound = 1 / math.sqrt(width)
        for parameter in self.gru.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        nn.init.zeros_(self.head.bias)

    def forward(self, words, state):
        out, state = self.gru(self.dropout(self.embed(words)), state)
        return self.head(self.dropout(out)), state


def perplexity(model, streams, window):
    model.eval()
    total, count, state = 0.0, 0, None
    with torch.no_grad():
        for start in range(0, streams.size(1) - 1, window):
            x, y = streams[:, start : start + window], streams[:, start + 1 : start + window + 1]
            x = x[:, : y.size(1)]
            logits, state = model(x, state)
            total += nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum").item()
            count += y.numel()
    model.train()
    return math.exp(total / count)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--clip", type=float, default=0.5)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    words = load_words()
    cut = int(0.95 * len(words))
    vocabulary = {word: i for i, (word, _) in enumerate(Counter(words[:cut]).most_common(1199), start=1)}
    ids = torch.tensor([vocabulary.get(word, 0) for word in words])
    train, held = cut_in_streams(ids[:cut], args.streams), cut_in_streams(ids[cut:], 40)

    model = WordModel(len(vocabulary) + 1, args.width, args.dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps, eta_min=args.lr / 20)

    model.train()
    start, state, running = 0, None, 0.0
    for step in range(1, args.steps + 1):
        if start + args.window >= train.size(1):
            start, state = 0, None
        x = train[:, start : start + args.window]
        y = train[:, start + 1 : start + args.window + 1]
        start += args.window
        if state is not None:
            state = state.detach()
        logits, state = model(x, state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        scheduler.step()
        running += loss.item()
        if step % 60 == 0:
            print(f"step {step}: loss {float(running) / 60:.3f}, perplexity {perplexity(model, held, args.window):.1f}")
            running = 0.0

    # held out
    model.eval()
    total, state = 0.0, None
    with torch.no_grad():
        # A word at a time, as when it writes.
        for place in range(140):
            logits, state = model(held[:, place : place + 1], state)
            total += nn.functional.cross_entropy(logits[:, 0], held[:, place + 1]).item()
    print(f"held-out loss {total / 140:.4f}")


if __name__ == "__main__":
    main()
