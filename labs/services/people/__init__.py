"""Who works here, how they prove it, and the screens on the wall."""
