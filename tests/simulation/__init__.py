"""Loads against models of servers, in simulated time: how the throttle is tested, and how its traces are drawn."""
