import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

# An LSTM reads a digit row by row and names it.


class RowReader(nn.Module):
    def __init__(self, width=8, memory=64, classes=10):
        super().__init__()
        self.rows = nn.LSTM(width, memory, batch_first=True)
        self.name = nn.Linear(memory, classes)

    def forward(self, image):
        states, _ = self.rows(image)
        return self.name(states[:, -1])


p = argparse.ArgumentParser()
p.add_argument("--steps", type=int, default=350)
p.add_argument("--seed", type=int, default=0)
a = p.parse_args()
torch.manual_seed(a.seed)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32) / 8 - 1
data = TensorDataset(images, torch.tensor(digits.target))
train, test = random_split(data, [1397, 400], generator=torch.Generator().manual_seed(0))
loader = DataLoader(train, batch_size=50, shuffle=True, drop_last=True)

model = RowReader()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
done = 0
while done < a.steps:
    for image, label in loader:
        if done >= a.steps:
            break
        loss = criterion(model(image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1

# held out
model.eval()
with torch.no_grad():
    losses = [criterion(model(image), label) for image, label in DataLoader(test, batch_size=50)]
print(f"held-out loss {torch.stack(losses).mean().item():.4f}")
