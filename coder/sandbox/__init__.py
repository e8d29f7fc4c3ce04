"""Where the model acts: sealed containers, and the images that they start from."""
