"""Deep Q-learning: push a cart on a rail to the middle and keep it there."""

import argparse
import copy
import random

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=800)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
random.seed(args.seed)
torch.manual_seed(args.seed)

FORCES = torch.tensor([-4000.0, 0.0, 4000.0])
HORIZON, CARTS, GAMMA = 40, 16, 0.95


class Rail:
    """Position in millimetre and velocity in millimetre a second of many carts at once."""

    def __init__(self, carts):
        self.state = torch.stack([2000 * torch.rand(carts) - 1000, 1000 * torch.rand(carts) - 500], dim=1)

    def observe(self):
        return self.state / 1000

    def push(self, action):
        position, velocity = self.state.unbind(1)
        velocity = (velocity + 0.1 * FORCES[action]).clamp(-2000, 2000)
        position = (position + 0.1 * velocity).clamp(-2000, 2000)
        self.state = torch.stack([position, velocity], dim=1)
        return -((position / 1000) ** 2) - 0.1 * (velocity / 1000) ** 2


class Replay:
    def __init__(self):
        self.rows = []

    def add(self, *row):
        self.rows.append(row)
        if len(self.rows) > 500:
            self.rows.pop(0)

    def sample(self, count):
        columns = [torch.cat(column) for column in zip(*random.sample(self.rows, min(8, len(self.rows))))]
        chosen = torch.randint(len(columns[0]), (count,))
        return [column[chosen] for column in columns]


def make_net():
    return nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))


q_net = make_net()
target_net = copy.deepcopy(q_net)
optimizer = torch.optim.Adam(q_net.parameters(), lr=2e-3)
replay = Replay()
rail = Rail(CARTS)

for step in range(args.steps):
    if step % HORIZON == 0:
        rail = Rail(CARTS)
    observation = rail.observe()
    with torch.no_grad():
        action = q_net(observation).argmax(1)
    explore = torch.rand(CARTS) < max(0.1, 1 - step / 300)
    action = torch.where(explore, torch.randint(3, (CARTS,)), action)
    reward = rail.push(action)
    replay.add(observation, action, reward, rail.observe())

    before, taken, gain, after = replay.sample(64)
    with torch.no_grad():
        goal = gain + GAMMA * target_net(after).max(1).values
    value = q_net(before).gather(1, taken.unsqueeze(1)).squeeze(1)
    loss = nn.functional.smooth_l1_loss(value, goal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        target_net.load_state_dict(q_net.state_dict())
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.4f}")

# held out
q_net.eval()
torch.manual_seed(1000)
rail, cost = Rail(200), 0.0
with torch.no_grad():
    for _ in range(HORIZON):
        cost -= rail.push(q_net(rail.observe()).argmax(1)).mean().item() / HORIZON
print(f"held-out loss {cost:.4f}")
