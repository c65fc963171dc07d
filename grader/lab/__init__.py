"""What students get to use: models, data, metrics, training loops and plots. Nothing here reads a submission."""
