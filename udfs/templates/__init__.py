"""Go's text/template and html/template, as far as notification templates use them, without Go.

`alertmanager.yml` holds such templates. They run here bounded in steps, depth and output, on data of a notification,
with the functions that Alertmanager 0.34 gives them. Source: Go's documentation of text/template and html/template; the
cases in `tests/golden/templates` are held equal to `amtool template render`.
"""
