"""REINFORCE with a learned baseline: walk to a goal on a grid."""

import argparse

import torch
from torch import nn
from torch.distributions import Categorical

SIZE, HORIZON = 7, 12
MOVES = torch.tensor([[0, 1], [0, -1], [1, 0], [-1, 0]])


class Grid:
    def __init__(self, walkers):
        self.position = torch.randint(SIZE, (walkers, 2))
        self.goal = torch.randint(SIZE, (walkers, 2))

    def observe(self):
        return torch.cat([self.position, self.goal], dim=1).float() / (SIZE - 1) - 0.5

    def move(self, action):
        self.position = (self.position + MOVES[action]).clamp(0, SIZE - 1)
        return -(self.position - self.goal).abs().sum(1).float() / SIZE


class Agent(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.policy = nn.Sequential(
            nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 4)
        )
        self.value = nn.Sequential(nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def act(self, observation):
        scores = self.policy(observation)
        return Categorical(logits=scores)

    def worth(self, observation):
        return self.value(observation).squeeze(-1)


def rollout(agent, walkers):
    grid = Grid(walkers)
    observations, log_probs, entropies, rewards = [], [], [], []
    for _ in range(HORIZON):
        observation = grid.observe()
        choice = agent.act(observation)
        action = choice.sample()
        observations.append(observation)
        log_probs.append(choice.log_prob(action))
        entropies.append(choice.entropy())
        rewards.append(grid.move(action))
    returns, total = [], torch.zeros(walkers)
    for reward in reversed(rewards):
        total = reward + 0.95 * total
        returns.insert(0, total)
    return torch.cat(observations), torch.cat(log_probs), torch.cat(entropies), torch.cat(returns)


def update(agent, optimizer, walkers=64, entropy_bonus=0.01, max_norm=1.0):
    observations, log_probs, entropies, returns = rollout(agent, walkers)
    worth = agent.worth(observations)
    advantage = returns - worth.detach()
    policy_loss = -(log_probs * advantage).mean() - entropy_bonus * entropies.mean()
    value_loss = nn.functional.mse_loss(worth, returns)
    loss = policy_loss + 0.5 * value_loss
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(agent.parameters(), max_norm)
    optimizer.step()
    return returns.mean().item()


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--lr", type=float, default=3e-3)
args = parser.parse_args()
torch.manual_seed(args.seed)

agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=args.lr)
for step in range(args.steps):
    mean_return = update(agent, optimizer)
    if step % 50 == 0:
        print(f"update {step}: mean return {mean_return:.2f}")

# held out
agent.eval()
torch.manual_seed(1000)
with torch.no_grad():
    grid, cost = Grid(300), 0.0
    for _ in range(HORIZON):
        cost -= grid.move(agent.act(grid.observe()).sample()).mean().item()
print(f"held-out loss {cost:.4f}")
