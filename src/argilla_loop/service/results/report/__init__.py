"""The report as one HTML file: ``page.render`` with ``page.html``, ``style.css`` and the plots."""
