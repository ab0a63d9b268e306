"""What is heard of a training, an ear a file: each listens for one thing and fills its part of the section `steps`."""
