"""Integration: from many looks at a scene to one percept, and to where the looks disagree."""
