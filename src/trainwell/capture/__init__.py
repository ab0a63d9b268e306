"""Other people's scripts: run unchanged, and listened to."""
