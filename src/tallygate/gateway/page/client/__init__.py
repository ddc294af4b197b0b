"""The live page as a browser gets it: HTML with a few ``{{names}}`` to be filled in, CSS, ES modules.

``{{path}}``: where the page is, as /dashboard. ``{{assets}}``: the folder where the other files of this room are served
(modules import each other by relative names, so a digest belongs in the folder's name). ``{{charts}}``: the address of
plotly's ``plotly.min.js``. ``{{message}}``, in sign-in.html: why a sign-in failed, escaped, or nothing.
"""
