"""Tables and files by address: of this machine, in S3, in a database."""
