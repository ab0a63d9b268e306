"""Small BERT on the source of Python's standard library: fill in the tokens that were masked.
The training loop is nanoGPT's: get_batch, estimate_loss, gradient accumulation, cosine with a warm-up."""
import argparse, math, re, sysconfig
from collections import Counter
from pathlib import Path

import torch
import torch.nn as nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument('--steps', type=int, default=130)
parser.add_argument('--seed', type=int, default=0)
args = parser.parse_args()

# -- config
block_size, batch_size, accumulation = 24, 20, 3
n_layer, n_head, n_embd, dropout = 2, 4, 48, 0.1
learning_rate, min_lr, warmup = 8e-3, 4e-4, 14
weight_decay, grad_clip, betas = 0.05, 1.0, (0.9, 0.98)
eval_interval, eval_iters = 25, 4
mask_share = 0.15
PAD, MASK, UNK, SPECIAL, WORDS = 0, 1, 2, 3, 220
vocab_size = SPECIAL + WORDS
torch.manual_seed(args.seed)

# -- data
files = sorted(Path(sysconfig.get_paths()['stdlib']).glob('*.py'))
lexer = re.compile(r'[A-Za-z_]\w*|\d+|\n\s*|[^\w\s]')

def pieces_of(paths):
    """Paragraphs of code, each a list of tokens."""
    paragraphs = (p for path in paths for p in path.read_text('utf-8', errors='replace').split('\n\n'))
    return [tokens[:block_size] for tokens in map(lexer.findall, paragraphs) if len(tokens) >= 8]

train_pieces, val_pieces, test_pieces = pieces_of(files[0:60]), pieces_of(files[60:75]), pieces_of(files[75:95])
common = Counter(t for p in train_pieces for t in p).most_common(WORDS)
stoi = {token: SPECIAL + i for i, (token, _) in enumerate(common)}

def encode(pieces):
    out = torch.full((len(pieces), block_size), PAD)
    for row, piece in zip(out, pieces):
        row[:len(piece)] = torch.tensor([stoi.get(t, UNK) for t in piece])
    return out

data = {'train': encode(train_pieces), 'val': encode(val_pieces)}

def get_batch(split):
    ix = torch.randint(len(data[split]), (batch_size,))
    tokens = data[split][ix]
    pick = (torch.rand(tokens.shape) < mask_share) & (tokens != PAD)
    y = tokens.masked_fill(~pick, -100)
    dice = torch.rand(tokens.shape)
    x = torch.where(pick & (dice < 0.8), MASK, tokens)
    x = torch.where(pick & (dice > 0.9), torch.randint(SPECIAL, vocab_size, x.shape), x)
    return x, y

# -- model
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.qkv = nn.Linear(n_embd, 3 * n_embd)
        self.proj = nn.Linear(n_embd, n_embd)
        self.fc = nn.Linear(n_embd, 3 * n_embd)
        self.fc_proj = nn.Linear(3 * n_embd, n_embd)
        self.drop = nn.Dropout(dropout)

    def forward(self, x, keep):
        B, T, C = x.shape
        q, k, v = (z.view(B, T, n_head, C // n_head).transpose(1, 2) for z in self.qkv(self.ln_1(x)).split(C, dim=2))
        p = dropout if self.training else 0.0
        att = F.scaled_dot_product_attention(q, k, v, attn_mask=keep, dropout_p=p)
        x = x + self.drop(self.proj(att.transpose(1, 2).reshape(B, T, C)))
        return x + self.drop(self.fc_proj(F.gelu(self.fc(self.ln_2(x)))))

class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(block_size, n_embd)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block() for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, vocab_size)
        self.head.weight = self.wte.weight
        self.apply(self._init_weights)
        nn.init.zeros_(self.head.bias)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear) and module is not self.head:
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)

    def forward(self, x):
        keep = (x != PAD)[:, None, None, :]
        h = self.drop(self.wte(x) + self.wpe.weight[:x.size(1)])
        for block in self.blocks:
            h = block(h, keep)
        return self.head(self.ln_f(h))

def mlm_loss(x, y):
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=-100)

@torch.no_grad()
def estimate_loss():
    model.eval()
    out = {s: sum(mlm_loss(*get_batch(s)).item() for _ in range(eval_iters)) / eval_iters for s in data}
    model.train()
    return out

def lr_factor(it):
    if it < warmup: return (it + 1) / (warmup + 1)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, (it - warmup) / (args.steps - warmup))))
    return (cosine * (learning_rate - min_lr) + min_lr) / learning_rate

model = Bert()
matrices = [p for p in model.parameters() if p.dim() >= 2]
vectors = [p for p in model.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{'params': matrices, 'weight_decay': weight_decay}, {'params': vectors, 'weight_decay': 0.0}],
    lr=learning_rate, betas=betas)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_factor)

# -- training
for it in range(args.steps):
    if it % eval_interval == 0:
        losses = estimate_loss()
        print(f"step {it}: train {losses['train']:.3f}, val {losses['val']:.3f}")
    for micro_step in range(accumulation):
        loss = mlm_loss(*get_batch('train')) / accumulation
        loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), grad_clip)
    optimizer.step()
    scheduler.step()
    optimizer.zero_grad(set_to_none=True)

# held out
model.eval()
chosen = torch.zeros(len(test_pieces), block_size, dtype=torch.long)
for row, piece in zip(chosen, test_pieces):
    row[:len(piece)] = torch.tensor([stoi.get(t, UNK) for t in piece])
chosen = chosen[:600]
hidden = (torch.rand(chosen.shape, generator=torch.Generator().manual_seed(1)) < 0.15) & (chosen != PAD)
with torch.no_grad():
    scores = model(chosen.masked_fill(hidden, MASK))[hidden].float()
print(f'held-out loss {F.cross_entropy(scores, chosen[hidden]).item():.4f}')
