"""Pictures: data in, a Vega-Lite spec or an SVG out. The same picture goes to the page, the report and the terminal."""
