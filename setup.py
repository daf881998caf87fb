"""The notebooks lie beside the package in the repository, and inside it in a wheel. All else: ``pyproject.toml``."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithNotebooks(build_py):
    """Puts ``notebooks/*.ipynb`` into the built package as ``moma_app/notebooks``."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # where they are found beside the package
            folder = Path(self.build_lib, "moma_app", "notebooks")
            self.mkpath(str(folder))
            for notebook in sorted(Path("notebooks").glob("[0-9]*.ipynb")):
                self.copy_file(str(notebook), str(folder / notebook.name))


setup(cmdclass={"build_py": WithNotebooks})
