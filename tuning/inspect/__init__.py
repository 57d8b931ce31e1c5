"""Pictures of what a cortex makes of one image, stage by stage: figures, pages, and what its experts prefer."""
