"""Where a gaze goes: figures of photographs, tables between floor and people, and the weights of a mixture."""
