"""Final exams of the cortex: few-shot naming, robustness to occlusion, energy."""
