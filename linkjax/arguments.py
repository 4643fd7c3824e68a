"""Command lines with verbs of their own: `python -m linkjax.lexicon VERB ...`."""

import argparse

from linkjax.errors import UserError


class Parser(argparse.ArgumentParser):
    """Takes no abbreviations, and says what is wrong in a sentence."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)

    def error(self, message: str):
        raise UserError(f"{message} ({self.prog} --help lists what there is).")
