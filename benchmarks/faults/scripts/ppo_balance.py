"""Proximal policy optimization: two separate networks learn to hold many inverted pendulums upright."""

import argparse
import math

import torch
import torch.nn as nn

PENDULUMS, HORIZON = 96, 25
GAMMA, LAMBDA = 0.95, 0.9


class Pendulums:
    """Angle in degrees from the upright, and its speed in degrees a second; a torque turns them."""

    def __init__(self, count):
        self.angle = 60 * (2 * torch.rand(count) - 1)
        self.speed = 60 * (2 * torch.rand(count) - 1)

    def observe(self):
        return torch.stack([self.angle / 60, self.speed / 120], dim=1)

    def push(self, torque):
        torque = torque.clamp(-3, 3)
        for _ in range(2):
            fall = 8 * torch.sin(self.angle * math.pi / 180)
            self.speed = (self.speed + 0.04 * (180 / math.pi) * (fall + 5 * torque)).clamp(-400, 400)
            self.angle = (self.angle + 0.04 * self.speed).clamp(-180, 180)
        return -((self.angle / 60) ** 2) - 0.1 * (self.speed / 120) ** 2 - 0.02 * torque**2


class Actor(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.mean = nn.Linear(width, 1)
        self.log_std = nn.Parameter(torch.zeros(1))
        nn.init.orthogonal_(self.mean.weight, gain=0.01)
        nn.init.zeros_(self.mean.bias)

    def forward(self, observation):
        mean = self.mean(self.body(observation)).squeeze(-1)
        return torch.distributions.Normal(mean, self.log_std.exp().expand_as(mean))


class Critic(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.value = nn.Linear(width, 1)

    def forward(self, observation):
        return self.value(self.body(observation)).squeeze(-1)


def play(actor, critic):
    """One stretch of all pendulums; what was seen and done, with advantages and returns."""
    pendulums = Pendulums(PENDULUMS)
    seen, done, log_probs, rewards, values = [], [], [], [], []
    with torch.no_grad():
        for _ in range(HORIZON):
            observation = pendulums.observe()
            policy = actor(observation)
            action = policy.sample()
            seen.append(observation)
            done.append(action)
            log_probs.append(policy.log_prob(action))
            values.append(critic(observation))
            rewards.append(0.1 * pendulums.push(action))
        following, advantage, advantages = critic(pendulums.observe()), 0.0, []
        for reward, value in zip(reversed(rewards), reversed(values)):
            surprise = reward + GAMMA * following - value
            advantage = surprise + GAMMA * LAMBDA * advantage
            advantages.insert(0, advantage)
            following = value
    advantages, values = torch.cat(advantages), torch.cat(values)
    return torch.cat(seen), torch.cat(done), torch.cat(log_probs), advantages, advantages + values


def main(steps, seed, lr=3e-3, clip=0.2, epochs=5, minibatch=400):
    torch.manual_seed(seed)
    actor, critic = Actor(), Critic()
    actor_optimizer = torch.optim.Adam(actor.parameters(), lr=lr)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=lr)
    step = 0
    while step < steps:
        seen, done, old_log_probs, advantages, returns = play(actor, critic)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        for _ in range(epochs):
            for chosen in torch.randperm(len(seen)).split(minibatch):
                policy = actor(seen[chosen])
                ratio = (policy.log_prob(done[chosen]) - old_log_probs[chosen]).exp()
                gain = ratio * advantages[chosen]
                clipped = ratio.clamp(1 - clip, 1 + clip) * advantages[chosen]
                actor_loss = -torch.min(gain, clipped).mean() - 0.001 * policy.entropy().mean()
                actor_optimizer.zero_grad()
                actor_loss.backward()
                nn.utils.clip_grad_norm_(actor.parameters(), 0.5)
                actor_optimizer.step()

                critic_loss = nn.functional.mse_loss(critic(seen[chosen]), returns[chosen])
                critic_optimizer.zero_grad()
                critic_loss.backward()
                critic_optimizer.step()
                step += 1
        print(f"step {step}: mean return {returns.mean().item():.3f}, critic {critic_loss.item():.3f}")

    # held out
    actor.eval()
    torch.manual_seed(1000)
    pendulums, cost = Pendulums(400), 0.0
    with torch.no_grad():
        for _ in range(40):
            cost -= pendulums.push(actor(pendulums.observe()).mean.reshape(-1)).mean().item() / 40
    print(f"held-out loss {10 * cost:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.steps, options.seed)
