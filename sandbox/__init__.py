"""Strangers' scripts: vetting, the script language, the jail."""
