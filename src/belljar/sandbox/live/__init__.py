"""Guests that stay: started once, asked again and again over a bridge, ended with their owner."""
