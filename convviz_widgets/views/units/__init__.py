"""The tab Units: what single channels do over all images."""
