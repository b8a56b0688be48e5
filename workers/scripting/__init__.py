"""Users' scripts in a running fleet: signed, deployed through the log, run beside the plans."""
