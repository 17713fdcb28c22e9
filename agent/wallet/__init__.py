"""Who may read it: keys, sealing at collection, custody of data keys, consent and grants."""
