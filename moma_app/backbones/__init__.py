"""What turns structures into graphs, and graphs into features: one file per architecture."""
