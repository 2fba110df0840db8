"""The five face-swap autoencoders: training and rendering."""
