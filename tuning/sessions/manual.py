"""What closes the page of ``accommodate --help``."""

from ciliary.tuning.cli.exit_codes import IN_WORDS

EPILOG = f"""\
answers       integrated: what all looks come to together, and where they disagree; best: one setting for the image
controllers   choose looks     panel, disagreement
              look and react   fixed, normalise, reflex, memory
              learned          policy, sb3 (a policy of stable-baselines3; needs --policy)
              search           random, tpe, cmaes, gp, nsga2, gradient, hybrid, hybrid-cmaes (a policy, then a search)
disturbances  gaussian_noise, defocus_blur, motion_blur, low_light, low_contrast, fog, colour_cast, jpeg
              with a severity from 0 to 5, as in fog:2.5; none shows the photograph as it is

sessions      A session has a name: --session, or one such as photo-looks-seed0. Stopped (Ctrl-C, kill, power cut), it
              goes on when the same command is given again: finished episodes are not done twice. When it is complete,
              the name starts <name>-2; --resume opens the complete one again, to add images, or to repeat what failed.
output        OUT/<session>/episodes.jsonl and figures/ (a page and a GIF an episode); runs in OUT/mlflow.db, or where
              MLFLOW_TRACKING_URI says.
              --save DIR writes <stem>.labels.png (16-bit, at the input's resolution: looks black), <stem>.regions.png
              (to be looked at), <stem>.boundary.png, of looks <stem>.uncertainty.png (8-bit), <stem>.json; with several
              disturbances <stem> becomes <stem>__<disturbance>_<severity>. With --coco also <stem>.coco.json, and all
              of them in <session>.coco.json.
many images   --workers 2 plays and draws whole episodes in two processes; --figures best:20 draws the 20 that gained
              most; --shard 3/8 does the third of eight parts of the images, under a session of its own: give each task
              of a Slurm array the same images and --shard $SLURM_ARRAY_TASK_ID/8, and then `ciliary merge OUT`.
              --engine ray gives whole episodes to the workers of a Ray cluster (--address; needs the extra ray).
{IN_WORDS}

examples      ciliary accommodate holiday/ --disturb none,fog:3 --save maps
              ciliary accommodate holiday/ --answer best
              ciliary accommodate cat.jpg --controller cmaes --trials 128 --storage sqlite:///studies.db
"""
