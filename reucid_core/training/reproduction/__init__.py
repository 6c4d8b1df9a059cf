"""The paper's Figs. 2, 4, 5, 6, 7 and Table 1, computed anew from the bundled fields.

May import everything of training but `laboratory`. One module computes each part; `showing` draws,
`page` writes what was made as one HTML page. Nothing here is a measurement of the paper's own
images, which are not published: each part says what differs.
"""
