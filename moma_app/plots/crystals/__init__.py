"""Crystal structures as they are drawn: what is drawn (payload), in 3D (view, frame) and flat (picture)."""
