"""The service: webhooks in, durable jobs out."""
