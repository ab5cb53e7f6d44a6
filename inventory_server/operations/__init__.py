"""What the service does, a function a verb."""
