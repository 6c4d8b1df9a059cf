"""Files that nobody vouches for, decoded in children with limits.

`parent` starts a child and believes nothing that it leaves; `sandbox`, `landlock` and `libraries`
say what it may do; `admission` holds what a file declares against its size before it is read. May
import `worker.formats` and `worker.store`.
"""
