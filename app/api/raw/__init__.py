"""Numbers as they are, by region and scale, for those who look at them: `?format=raw`.

A client that pans asks for dozens of regions in a second. So what they are read from is checked
tile by tile, and the reduced scales are made once, when one is first asked for. `layout` says how a
pyramid of means is kept, `making` runs in a drawing child, `reading` in the server; `views` knows
jobs and images, `answers` knows HTTP. May import the rest of `app.api` but its routes.
"""
