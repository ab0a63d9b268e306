"""SAC on a planar arm: two joints, a goal somewhere in reach, torques that bring the tip there."""
import argparse
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F

LINKS, REACH = (120.0, 100.0), 220.0  # mm
N_ENVS, EP_LEN, GAMMA, TAU = 16, 30, 0.9, 0.03


class ReacherEnv:
    def __init__(self, n, generator=None):
        self.n, self.g = n, generator
        self.reset()

    def reset(self):
        rand = torch.rand(self.n, 4, generator=self.g)
        self.q, self.dq = 3.14159 * (2 * rand[:, :2] - 1), torch.zeros(self.n, 2)
        radius, angle = REACH * (0.25 + 0.7 * rand[:, 2]), 6.28318 * rand[:, 3]
        self.goal = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
        return self.obs()

    def tip(self):
        a, b = self.q[:, 0], self.q.sum(1)
        return torch.stack([LINKS[0] * a.cos() + LINKS[1] * b.cos(), LINKS[0] * a.sin() + LINKS[1] * b.sin()], 1)

    def obs(self):
        miss = (self.goal - self.tip()) / REACH
        goal = self.goal / REACH
        return torch.cat([self.q.cos(), self.q.sin(), self.dq, goal, miss], 1)

    def step(self, action):
        self.dq = 0.7 * self.dq + 0.3 * action.clamp(-1, 1)
        self.q = self.q + 0.35 * self.dq
        distance = (self.goal - self.tip()).norm(dim=1) / REACH
        return self.obs(), -distance - 0.02 * action.pow(2).sum(1)


class ReplayBuffer:
    def __init__(self, size, obs_dim, act_dim):
        self.obs, self.next_obs = torch.zeros(size, obs_dim), torch.zeros(size, obs_dim)
        self.act, self.rew = torch.zeros(size, act_dim), torch.zeros(size)
        self.ptr, self.full, self.size = 0, 0, size

    def store(self, obs, act, rew, next_obs):
        rows = (self.ptr + torch.arange(len(obs))) % self.size
        self.obs[rows], self.act[rows], self.rew[rows], self.next_obs[rows] = obs, act, rew, next_obs
        self.ptr = (self.ptr + len(obs)) % self.size
        self.full = min(self.full + len(obs), self.size)

    def sample(self, n):
        rows = torch.randint(self.full, (n,))
        return [column[rows] for column in (self.obs, self.act, self.rew, self.next_obs)]


def mlp(sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class TwinCritic(nn.Module):
    def __init__(self, obs_dim, act_dim, width):
        super().__init__()
        self.q1, self.q2 = (mlp([obs_dim + act_dim, width, width, 1]) for _ in range(2))

    def forward(self, obs, act):
        x = torch.cat([obs, act], 1)
        return self.q1(x).squeeze(-1), self.q2(x).squeeze(-1)


class SquashedGaussian(nn.Module):
    def __init__(self, obs_dim, act_dim, width):
        super().__init__()
        self.net = mlp([obs_dim, width, width, 2 * act_dim])

    def forward(self, obs):
        mu, log_std = self.net(obs).chunk(2, dim=1)
        return mu, log_std.clamp(-5, 1)

    def sample(self, obs):
        mu, log_std = self(obs)
        u = mu + log_std.exp() * torch.randn_like(mu)
        logp = torch.distributions.Normal(mu, log_std.exp()).log_prob(u)
        logp = logp - 2 * (0.693147 - u - F.softplus(-2 * u))  # tanh correction
        return torch.tanh(u), logp.sum(1)


p = argparse.ArgumentParser()
p.add_argument("--steps", type=int, default=800)
p.add_argument("--seed", type=int, default=0)
p.add_argument("--lr", type=float, default=3e-3)
args = p.parse_args()
torch.manual_seed(args.seed)

env = ReacherEnv(N_ENVS)
buffer = ReplayBuffer(20000, obs_dim=10, act_dim=2)
actor, critic = SquashedGaussian(10, 2, 64), TwinCritic(10, 2, 64)
critic_target = copy.deepcopy(critic).requires_grad_(False)
log_alpha = torch.tensor(-2.0, requires_grad=True)
actor_opt = torch.optim.Adam(actor.parameters(), lr=args.lr)
critic_opt = torch.optim.Adam(critic.parameters(), lr=args.lr)
alpha_opt = torch.optim.Adam([log_alpha], lr=args.lr)

obs, rewards = env.obs(), []
for t in range(-20, args.steps):
    with torch.no_grad():
        act = actor.sample(obs)[0] if t >= 0 else 2 * torch.rand(N_ENVS, 2) - 1
    next_obs, rew = env.step(act)
    buffer.store(obs, act, rew, next_obs)
    obs = env.reset() if (t + 21) % EP_LEN == 0 else next_obs
    if t < 0:
        continue
    o, a, r, o2 = buffer.sample(128)
    with torch.no_grad():
        a2, logp2 = actor.sample(o2)
        target = r + GAMMA * (torch.min(*critic_target(o2, a2)) - log_alpha.exp() * logp2)
    q1, q2 = critic(o, a)
    critic_loss = (q1 - target).pow(2).mean() + (q2 - target).pow(2).mean()
    critic_opt.zero_grad()
    critic_loss.backward()
    critic_opt.step()
    new_a, logp = actor.sample(o)
    actor_loss = (log_alpha.exp().detach() * logp - torch.min(*critic(o, new_a))).mean()
    actor_opt.zero_grad()
    actor_loss.backward()
    actor_opt.step()
    alpha_loss = -(log_alpha * (logp.detach() - 2.0)).mean()
    alpha_opt.zero_grad()
    alpha_loss.backward()
    alpha_opt.step()
    for slow, fast in zip(critic_target.parameters(), critic.parameters()):
        slow.lerp_(fast.detach(), TAU)
    rewards.append(rew.mean().item())
    if (t + 1) % 150 == 0:
        score = EP_LEN * sum(rewards[-90:]) / 90
        print(f"{t + 1:5d}  return {score:7.2f}  critic {critic_loss.item():.4f}  alpha {log_alpha.exp():.3f}")

# held out
actor.eval()
tests = ReacherEnv(500, torch.Generator().manual_seed(4242))
total = torch.zeros(500)
with torch.no_grad():
    state = tests.obs()
    for _ in range(EP_LEN):
        state, rew = tests.step(torch.tanh(actor(state)[0]))
        total += rew
print(f"held-out loss {-total.mean().item():.4f}")
