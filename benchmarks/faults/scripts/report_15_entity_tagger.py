"""Tag the entities of made-up sentences: a pretrained-style encoder with a slow rate, a head with a fast one."""

import argparse

import torch
import torch.nn as nn

WORDS, TAGS = 60, 5


class Tagger(nn.Module):
    def __init__(self, width=32, hidden=32):
        super().__init__()
        self.encoder = nn.ModuleDict(
            {
                "embedding": nn.Embedding(WORDS, width),
                "lstm": nn.LSTM(width, hidden, batch_first=True, bidirectional=True),
            }
        )
        self.dropout = nn.Dropout(0.1)
        self.fc = nn.Linear(2 * hidden, TAGS)

    def forward(self, words):
        states, _ = self.encoder["lstm"](self.encoder["embedding"](words))
        return self.fc(self.dropout(states))


class Trainer:
    def __init__(self, model, encoder_lr=2e-3, head_lr=1e-2):
        self.model = model
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = self.make_optimizer(encoder_lr, head_lr)

    def make_optimizer(self, encoder_lr, head_lr):
        groups = []
        params = {"lr": encoder_lr, "weight_decay": 1e-2, "params": []}
        for name, parameter in self.model.named_parameters():
            if "encoder" in name:
                params["params"].append(parameter)
        groups.append(params)
        params = {"lr": head_lr, "weight_decay": 1e-2, "params": []}
        for name, parameter in self.model.named_parameters():
            if "fc" in name:
                params["params"].append(parameter)
        groups.append(params)
        return torch.optim.AdamW(groups)

    def fit(self, words, tags, steps, batch_size=32):
        self.model.train()
        for _ in range(steps):
            rows = torch.randint(0, len(words), (batch_size,))
            loss = self.criterion(self.model(words[rows]).transpose(1, 2), tags[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def corpus(count, generator, length=14):
    """A word of kind 1, 2, 3 is an entity if the word before it is a title (kind 4); its own title tags 4."""
    words = torch.randint(0, WORDS, (count, length), generator=generator)
    kind = words % 6
    after_title = torch.roll(kind, 1, dims=1) == 4
    after_title[:, 0] = False
    entity = torch.where(after_title & (kind >= 1) & (kind <= 3), kind, 0)
    before_entity = torch.roll(entity, -1, dims=1) > 0
    before_entity[:, -1] = False
    return words, torch.where(before_entity & (kind == 4), 4, entity)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    words, tags = corpus(3000, torch.Generator().manual_seed(args.seed))
    tagger = Tagger()
    Trainer(tagger).fit(words, tags, args.steps)

    # held out
    words, tags = corpus(500, torch.Generator().manual_seed(98765))
    tagger.eval()
    with torch.no_grad():
        held_out = nn.functional.cross_entropy(tagger(words).transpose(1, 2), tags).item()
    print(f"held-out loss {held_out:.4f}")
