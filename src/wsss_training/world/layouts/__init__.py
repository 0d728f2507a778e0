"""Writers of recordings, one for each dataset whose layout they use."""
