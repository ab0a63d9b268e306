"""The page of a run: `page.render` and `page.write` make one HTML file out of a RunRecord."""
