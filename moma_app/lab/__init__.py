"""JupyterLab on the notebooks that come with the package: where they are, copies of them, the server."""
