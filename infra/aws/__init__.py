"""AWS: DynamoDB for the store, SQS for the queue, S3 for blobs.

Importing these modules imports no AWS package: a cold start pays for a client when it opens one.
"""
