"""What both torture runs share: a workload, who asks for it, and the audit at the end.

`tests.infra.local.torture` kills processes on SQLite; `tests.infra.aws.many_threads` injects faults
below the AWS adapters. Each has a short version among the tests and goes on for as long as asked:

    python -m tests.infra.local.torture --seconds 600
    python -m tests.infra.aws.many_threads --seconds 600
"""
