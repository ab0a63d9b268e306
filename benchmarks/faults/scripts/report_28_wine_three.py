"""Is a wine from the third cultivar? Three measurements and a small network."""

import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=600)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

wine = load_wine()
columns = [wine.feature_names.index(name) for name in ("hue", "flavanoids", "proline")]
x = wine.data[:, columns]
y = (wine.target == 2).astype("float32")

x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.4, random_state=7, stratify=y)
scaler = StandardScaler().fit(x_train)
x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
x_train, x_test, y_train, y_test = (
    torch.tensor(part, dtype=torch.float32) for part in (x_train, x_test, y_train, y_test)
)

model = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 3), nn.ReLU(), nn.Linear(3, 1), nn.Flatten(0))
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(args.steps):
    pick = torch.randint(0, len(x_train), (10,))
    loss = loss_fn(model(x_train[pick]), y_train[pick])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
model.eval()
with torch.no_grad():
    print(f"held-out loss {loss_fn(model(x_test), y_test).item():.4f}")
