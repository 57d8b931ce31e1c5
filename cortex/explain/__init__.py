"""Which parts of an image a number hangs on. Functions of images in, maps out: nothing here asks what computes them.

A function of images (B, 3, H, W) to T numbers each, (B, T), is explained T at a time: what they share is computed once.
"""
