"""Pictures that are drawn because nobody photographed them for training."""
