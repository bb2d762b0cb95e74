"""Rate limits: counted in Redis for all processes, and in this one where Redis is away or a share is enough."""
