"""What runs a model: one port, one file per engine, one pool that supervises them."""
