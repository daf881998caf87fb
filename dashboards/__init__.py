"""The dashboard: a Panel application that drives the job layer. No science of its own; nothing heavy at import."""
