"""Callbacks for other people's training loops: a file a library, none of which trainwell needs itself."""
