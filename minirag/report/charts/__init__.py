"""Row 8. Charts of the report: plain numbers in, one SVG as text out, no script, one file a chart."""
