"""What a batch is: manifest, shard, outcome, ledger, store, report. No torch here."""
