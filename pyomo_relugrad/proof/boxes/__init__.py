"""Branch and bound over boxes of the networks' inputs."""
