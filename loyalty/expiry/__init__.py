"""When points expire: by inactivity, or each lot so long after it was earned. Thinking, writers, reads and the job."""
