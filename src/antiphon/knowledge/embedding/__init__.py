"""From text to vectors: by an endpoint, by the small model that comes along, or by a local one."""
