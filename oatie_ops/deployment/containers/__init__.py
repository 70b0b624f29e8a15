"""What the targets docker and swarm share: names, the image, the adapter of the Docker SDK."""
