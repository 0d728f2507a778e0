"""Runtime: a point cloud in, a semantic cloud out; no training code is needed to run it."""
