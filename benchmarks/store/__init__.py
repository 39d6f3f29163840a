"""Speed of storing runs and of turning them into scores."""
