"""Images made to please a score: preferred stimuli, dreams, textures, metamers and worst cases.

Nothing here knows a cortex: a score is any function of images (B, 3, H, W) in [0, 1] to numbers (B,) that torch can
differentiate, a code any function to tensors with a leading B.
"""
