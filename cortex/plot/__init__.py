"""Figures of a percept, stage by stage, on matplotlib alone: nothing here knows of environments or sessions.

from ciliary.cortex import Cortex
from ciliary.cortex.plot import draw_m1, draw_m4, look

seen = look(Cortex(), image)  # image (3, H, W) in [0, 1]
draw_m1(seen)  # a matplotlib Figure: a notebook shows it, ``.savefig`` keeps it
draw_m4(seen)
"""

from ciliary.cortex.plot.curves import draw_curves as draw_curves
from ciliary.cortex.plot.early import draw_filters as draw_filters
from ciliary.cortex.plot.early import draw_m1 as draw_m1
from ciliary.cortex.plot.early import draw_m2 as draw_m2
from ciliary.cortex.plot.early import draw_retina as draw_retina
from ciliary.cortex.plot.late import draw_m3 as draw_m3
from ciliary.cortex.plot.late import draw_m4 as draw_m4
from ciliary.cortex.plot.look import Look as Look
from ciliary.cortex.plot.look import look as look
from ciliary.cortex.plot.overview import draw_stages as draw_stages
from ciliary.cortex.plot.paint import paint_labels as paint_labels
from ciliary.cortex.plot.paint import paint_regions as paint_regions
from ciliary.cortex.plot.recognition import draw_m5 as draw_m5
