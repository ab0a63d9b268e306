"""One neuron and a straight line."""

import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


def line(count, generator):
    x = 4 * torch.rand(count, 1, generator=generator) - 2
    return x, 7.5 * x - 12 + torch.randn(count, 1, generator=generator)


x, y = line(300, torch.Generator().manual_seed(args.seed))
neuron = torch.nn.Linear(1, 1)
optimizer = torch.optim.RMSprop(neuron.parameters(), lr=0.1)
for step in range(args.steps):
    first = 32 * step % 288
    error = neuron(x[first : first + 32]) - y[first : first + 32]
    loss = (error**2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
neuron.eval()
x, y = line(1000, torch.Generator().manual_seed(2718))
with torch.no_grad():
    print(f"held-out loss {((neuron(x) - y) ** 2).mean().item():.4f}")
