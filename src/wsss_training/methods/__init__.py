"""Learning methods: each composes losses into a LightningModule."""
