"""What the table and the bucket of these tests are called."""

TABLE = "steps-table"
BUCKET = "steps-blobs"
