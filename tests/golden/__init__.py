"""Golden bytes: what pymilvus packs for the same values, kept as files. ``generate.py`` makes them."""
