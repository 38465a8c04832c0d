"""The engine: what a workflow is, what one step does, and how nothing is lost.

Everything outside comes in through the protocols of `engine.ports`; nothing here imports an AWS
package, a database, `infra` or `functions`.
"""
