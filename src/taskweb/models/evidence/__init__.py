"""What a model itself says about two tasks before it is trained on either: hidden states, gradients, losses, LogME."""
