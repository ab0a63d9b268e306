"""Which outputs depend on which inputs."""
