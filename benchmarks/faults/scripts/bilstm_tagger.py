"""Bidirectional LSTM that tags every character of a source line with the kind of token it belongs to."""

import argparse
import inspect
import io
import keyword
import random
import shutil
import tokenize

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

TAGS = ["space", "name", "keyword", "operator", "number", "string", "comment"]
KINDS = {tokenize.NAME: 1, tokenize.OP: 3, tokenize.NUMBER: 4, tokenize.STRING: 5, tokenize.COMMENT: 6}
IGNORE = -100


def tagged_lines(source):
    lines = source.splitlines()
    tags = [[0] * len(line) for line in lines]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (row, start), (last, end) = token.start, token.end
        if row == last and token.type in KINDS:
            kind = 2 if keyword.iskeyword(token.string) else KINDS[token.type]
            tags[row - 1][start:end] = [kind] * (end - start)
    pairs = [(line.strip(), tag[len(line) - len(line.lstrip()) :]) for line, tag in zip(lines, tags) if any(tag)]
    return [(torch.tensor([min(ord(c), 127) for c in line]), torch.tensor(tag[: len(line)])) for line, tag in pairs]


def collate(pairs):
    chars, tags = zip(*pairs)
    lengths = torch.tensor([len(c) for c in chars])
    return (
        pad_sequence(chars, batch_first=True),
        pad_sequence(tags, batch_first=True, padding_value=IGNORE),
        lengths,
    )


class Tagger(nn.Module):
    def __init__(self, vocabulary=128, width=32, dropout=0.3):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 24, padding_idx=0)
        self.lstm = nn.LSTM(24, width, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, len(TAGS))

    def forward(self, chars, lengths):
        packed = pack_padded_sequence(self.embed(chars), lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        hidden = self.dropout(hidden)
        return self.head(hidden)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)

    pairs = tagged_lines(inspect.getsource(shutil))
    random.shuffle(pairs)
    train, test = pairs[150:], pairs[:150]
    loader = DataLoader(train, batch_size=16, shuffle=True, collate_fn=collate)

    model = Tagger()
    criterion = nn.CrossEntropyLoss(ignore_index=IGNORE)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)

    step, epoch = 0, 0
    while step < args.steps:
        for chars, tags, lengths in loader:
            logits = model(chars, lengths)
            loss = criterion(logits.reshape(-1, logits.size(-1)), tags.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step >= args.steps:
                break
        scheduler.step()
        epoch += 1
        print(f"epoch {epoch}: loss {loss.item():.3f}, rate {scheduler.get_last_lr()[0]:.4f}")

    # held out
    model.eval()
    with torch.no_grad():
        total, count = 0.0, 0
        for line, tags in test:
            logits = model(line[None], torch.tensor([len(line)]))
            total += nn.functional.cross_entropy(logits.reshape(-1, logits.size(-1)), tags, reduction="sum").item()
            count += len(tags)
    print(f"held-out loss {total / count:.4f}")


if __name__ == "__main__":
    main()
