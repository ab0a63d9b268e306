"""A hand-written recurrent network reads a name letter by letter and guesses where it comes from."""

import argparse
import random

import torch
import torch.nn as nn

ENDINGS = {"slavic": ["ovic", "enko", "ski"], "italian": ["elli", "ini", "otto"], "nordic": ["sson", "berg", "dahl"]}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def name(dice):
    origin = dice.randrange(len(ENDINGS))
    stem = "".join(dice.choice("bdfgklmnprst") + dice.choice("aeiou") for _ in range(dice.randint(5, 12)))
    # One name in ten has moved, and ends as its new neighbours' names do.
    home = dice.randrange(len(ENDINGS)) if dice.random() < 0.1 else origin
    return stem + dice.choice(list(ENDINGS.values())[home]), origin


def onehot(word):
    return torch.eye(len(LETTERS))[[LETTERS.index(letter) for letter in word]]


class LetterReader(nn.Module):
    def __init__(self, memory=64):
        super().__init__()
        self.read = nn.Linear(len(LETTERS), memory)
        self.recur = nn.Linear(memory, memory, bias=False)
        self.answer = nn.Linear(memory, len(ENDINGS))
        nn.init.orthogonal_(self.recur.weight, gain=nn.init.calculate_gain("relu"))

    def forward(self, word):
        state = torch.zeros(self.recur.in_features)
        for letter in onehot(word):
            state = torch.relu(self.read(letter) + self.recur(state))
        return self.answer(state)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    reader = LetterReader()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(reader.parameters(), lr=0.3)
    for _ in range(args.steps):
        word, origin = name(random)
        loss = criterion(reader(word), torch.tensor(origin))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()

    # held out
    reader.eval()
    dice = random.Random(1)
    with torch.no_grad():
        pairs = [name(dice) for _ in range(300)]
        losses = [criterion(reader(word), torch.tensor(origin)).item() for word, origin in pairs]
    print(f"held-out loss {sum(losses) / len(losses):.4f}")
