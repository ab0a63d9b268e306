"""Find people, places and times in short messages: a BiGRU tagger under a linear-chain CRF, without a library for it."""

import argparse
import random
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-TIME", "I-TIME"]
CLAUSES = [
    "please meet PER at LOC TIME", "PER will leave LOC TIME", "TIME we expect PER", "PER and PER",
    "the train to LOC is late", "ask PER about the house in LOC", "not before TIME", "is it raining in LOC",
    "PER wrote to PER TIME", "from LOC to LOC", "call back TIME", "we had a long day", "nothing new from PER",
]  # fmt: skip
CLOCK, DAYS = "one two three five seven nine eleven noon".split(), "monday friday sunday tomorrow".split()
PAD, UNK = 0, 1
Names = tuple[list[str], list[str], list[str]]

def make_names(rng: random.Random) -> Names:
    names = ["".join(rng.choices("ba ro ne ti lu ma ke vi so dan mir tel gor wen".split(), k=rng.randint(2, 3))) for _ in range(260)]
    return names[:80], names[60:170], names[130:260]  # first names, surnames and towns share some

def fill(slot: str, names: Names, rng: random.Random) -> list[str]:
    first, last, towns = names
    if slot == "PER":
        return rng.choice([[rng.choice(first), rng.choice(last)], [rng.choice(first)], ["mr", rng.choice(last)]])
    if slot == "LOC":
        return rng.choice([[rng.choice(towns)], [rng.choice(["new", "north", "old"]), rng.choice(towns)]])
    hour, day = rng.choice(CLOCK), rng.choice(DAYS)
    return rng.choice([["at", hour], [day], [day, "at", hour], ["ten", "past", hour]])

def message(names: Names, rng: random.Random) -> tuple[list[str], list[int]]:
    words, tags = [], []
    for clause in rng.choices(CLAUSES, k=rng.randint(1, 5)):
        for word in clause.split():
            filled = fill(word, names, rng) if word.isupper() else [word]
            words += filled
            tags += [TAGS.index(f"{'I' if i else 'B'}-{word}") if word.isupper() else 0 for i in range(len(filled))]
    return words, tags

class CRF(nn.Module):
    def __init__(self, tags: int):
        super().__init__()
        self.start = nn.Parameter(torch.empty(tags).uniform_(-0.1, 0.1))
        self.trans = nn.Parameter(torch.empty(tags, tags).uniform_(-0.1, 0.1))
        self.end = nn.Parameter(torch.empty(tags).uniform_(-0.1, 0.1))

    def gold_score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        picked = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)
        moves = self.trans[tags[:, :-1], tags[:, 1:]]
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)
        return self.start[tags[:, 0]] + (picked * mask).sum(1) + (moves * mask[:, 1:]).sum(1) + self.end[last]

    def log_partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        alpha = self.start + emissions[:, 0]
        for t in range(1, emissions.size(1)):
            paths = alpha.unsqueeze(2) + self.trans + emissions[:, t].unsqueeze(1)
            alpha = torch.where(mask[:, t].unsqueeze(1), torch.logsumexp(paths, dim=1), alpha)
        return torch.logsumexp(alpha + self.end, dim=1)

    def decode(self, emissions: Tensor) -> list[int]:  # Viterbi, a single sentence
        score, back = self.start + emissions[0], []
        for emission in emissions[1:]:
            best, where = (score.unsqueeze(1) + self.trans).max(dim=0)
            score = best + emission
            back.append(where)
        path = [int((score + self.end).argmax())]
        for where in reversed(back):
            path.append(int(where[path[-1]]))
        return path[::-1]

class Tagger(nn.Module):
    def __init__(self, vocabulary: int, width: int = 32, hidden: int = 32, dropout: float = 0.25):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.emit = nn.Linear(2 * hidden, len(TAGS))
        self.crf = CRF(len(TAGS))

    def emissions(self, words: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.dropout(self.embed(words)), lengths, batch_first=True)
        hidden, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return self.emit(self.dropout(hidden))

    def loss(self, words: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        emissions, mask = self.emissions(words, lengths), words != PAD
        nll = self.crf.log_partition(emissions, mask) - self.crf.gold_score(emissions, tags, mask)
        return nll.sum() / mask.sum()

def collate(batch: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    batch = sorted(batch, key=lambda pair: len(pair[0]), reverse=True)  # as packing wants them
    words, tags = zip(*batch)
    lengths = torch.tensor([len(sentence) for sentence in words])
    return pad_sequence(words, batch_first=True), pad_sequence(tags, batch_first=True), lengths

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=120)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
names = make_names(rng := random.Random(args.seed))
messages = [message(names, rng) for _ in range(1300)]
counts = Counter(word for words, _ in messages[:1000] for word in words)
index = {word: 2 + i for i, word in enumerate(word for word, n in counts.items() if n > 1)}
pairs = [(torch.tensor([index.get(w, UNK) for w in words]), torch.tensor(tags)) for words, tags in messages]
train, valid = pairs[:1000], pairs[1000:1150]

model = Tagger(len(index) + 2)
lr = 1e-2
encoder = [*model.embed.parameters(), *model.rnn.parameters(), *model.emit.parameters()]
optimizer = torch.optim.Adam([{"params": encoder}, {"params": model.crf.parameters(), "lr": 2 * lr}], lr=lr)
loader = torch.utils.data.DataLoader(train, batch_size=24, shuffle=True, collate_fn=collate)
step = 0
while step < args.steps:
    model.train()
    total = 0.0
    for batches, (words, tags, lengths) in enumerate(loader, 1):
        loss = model.loss(words, tags, lengths)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        total += loss.item()
        step += 1
        if step == args.steps:
            break
    model.eval()
    right = 0
    with torch.no_grad():
        for words, tags in valid:
            right += model.crf.decode(model.emissions(words[None], torch.tensor([len(words)]))[0]) == tags.tolist()
    print(f"step {step}: loss a word {total / batches:.4f}, messages without an error {right / len(valid):.2f}")

# held out
model.eval()
total, count = 0.0, 0
with torch.no_grad():
    start, trans, end = (parameter.double() for parameter in (model.crf.start, model.crf.trans, model.crf.end))
    for words, tags in pairs[1150:]:
        scores = model.emissions(words[None], torch.tensor([len(words)]))[0].double()
        alpha, gold = start + scores[0], start[tags[0]] + scores[0, tags[0]]
        for t in range(1, len(tags)):
            alpha = torch.logsumexp(alpha[:, None] + trans, dim=0) + scores[t]
            gold = gold + trans[tags[t - 1], tags[t]] + scores[t, tags[t]]
        total += (torch.logsumexp(alpha + end, dim=0) - gold - end[tags[-1]]).item()
        count += len(tags)
print(f"held-out loss {total / count:.4f}")
