"""V4: curvature and corner cells over M2's contours, and where on a shape they answer."""
