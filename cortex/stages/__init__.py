"""The stages of the cortex, from light to recognition: mathematics, and a learned part beside some of them.

:data:`ciliary.cortex.stages.table.TABLE` says which stages there are, by what they are made and what they answer with.
"""
