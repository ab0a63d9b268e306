"""Records to matplotlib figures: a noun a file, one function a picture. `svg.to_svg` puts a figure into a page."""
