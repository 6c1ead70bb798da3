"""Called after every turn: log, metrics, notices, evidence, failed audits."""
