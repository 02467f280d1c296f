"""The two clients against real engines: the same scenarios run with pymilvus and with headrace."""
