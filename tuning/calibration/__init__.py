"""From labelled images to a calibration."""
