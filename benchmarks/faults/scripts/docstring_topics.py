"""Which part of the standard library is this paragraph of a docstring about?"""

import argparse
import ast
import importlib.util
import random
import re
from collections import Counter
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

TOPICS = {
    "mail": ["email", "imaplib", "smtplib", "mailbox", "poplib"],
    "asynchronous": ["asyncio"],
    "web": ["http", "urllib", "ftplib", "socketserver"],
    "numbers": ["_pydecimal", "fractions", "statistics", "random"],
    "testing": ["unittest", "doctest"],
}
PAD, UNKNOWN = 0, 1


def read_paragraphs(module):
    origin = Path(importlib.util.find_spec(module).origin)
    files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                    words = re.findall(r"[a-z]+|[^\w\s]", paragraph.lower())
                    if len(words) >= 5:
                        yield tuple(words[:40])


def pad_batch(examples):
    texts, labels = zip(*examples)
    return pad_sequence(list(texts), batch_first=True, padding_value=PAD), torch.tensor(labels)


class TextConvNet(nn.Module):
    """Convolutions of several widths over the words; attention says which places count."""

    def __init__(self, vocabulary, classes, width=48, filters=48, dropout=0.5):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.convs = nn.ModuleList(nn.Conv1d(width, filters, size, padding=size // 2) for size in (1, 3, 5))
        self.attend = nn.Linear(3 * filters, 1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(3 * filters, classes)

    def forward(self, tokens):
        words = F.dropout(self.embed(tokens), 0.3, training=self.training).transpose(1, 2)
        features = torch.cat([F.relu(conv(words)) for conv in self.convs], dim=1).transpose(1, 2)
        scores = self.attend(features).squeeze(-1).masked_fill(tokens == PAD, float("-inf"))
        weights = scores.softmax(dim=1)
        pooled = (weights.unsqueeze(-1) * features).sum(dim=1)
        return self.head(self.dropout(pooled))


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    right = sum((model(tokens).argmax(1) == labels).sum().item() for tokens, labels in loader)
    model.train()
    return right / len(loader.dataset)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=280)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--batch-size", type=int, default=32)
args = parser.parse_args()
random.seed(args.seed)
torch.manual_seed(args.seed)

examples = [
    (words, topic)
    for topic, modules in enumerate(TOPICS.values())
    for words in sorted({words for module in modules for words in read_paragraphs(module)})
]
random.shuffle(examples)
held_examples, train_examples = examples[:600], examples[600:]
frequent = Counter(word for words, _ in train_examples for word in words).most_common(1500)
vocabulary = {word: number for number, (word, _) in enumerate(frequent, start=2)}


def encode(words):
    return torch.tensor([vocabulary.get(word, UNKNOWN) for word in words])


held = [(encode(words), topic) for words, topic in held_examples]
texts = [encode(words) for words, _ in train_examples]
topics = [topic for _, topic in train_examples]
train = list(zip(texts, topics))
loader = DataLoader(train, batch_size=args.batch_size, shuffle=True, drop_last=True, collate_fn=pad_batch)
held_loader = DataLoader(held, batch_size=100, collate_fn=pad_batch)

model = TextConvNet(len(vocabulary) + 2, len(TOPICS))
counts = torch.bincount(torch.tensor(topics)).float()
with torch.no_grad():
    model.head.bias.copy_((counts / counts.sum()).log())
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)

model.train()
step, running = 0, 0.0
while step < args.steps:
    for tokens, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
        step += 1
        if step % 40 == 0:
            print(f"step {step}: loss {float(running) / 40:.3f}, accuracy {accuracy(model, held_loader):.3f}")
            running = 0.0
        if step == args.steps:
            break

# held out
model.eval()
total = 0.0
with torch.no_grad():
    for start in range(0, len(held), 100):
        tokens, labels = zip(*held[start : start + 100])
        tokens = pad_sequence(list(tokens), batch_first=True, padding_value=0)
        total += F.cross_entropy(model(tokens), torch.tensor(labels), reduction="sum").item()
print(f"held-out loss {total / len(held):.4f}")
