"""Models that name the generator of a face-swap video: training and scoring."""
