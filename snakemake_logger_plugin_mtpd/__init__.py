"""Snakemake's logger ``mtpd``, which it finds by this package's name: ``--logger mtpd``.

Every call of Snakemake imports it, so it imports nothing heavy before it is used.
"""

from __future__ import annotations

from logging import Handler, LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Hands Snakemake's records to the display that suits the call and the terminal."""

    def __post_init__(self) -> None:
        """Choose the display."""
        from mtpd.display.handler import display_for

        self.display: Handler = display_for(self.common_settings)

    def emit(self, record: LogRecord) -> None:
        """Show a record. What goes wrong with that must not end the thread that hands them on."""
        try:
            self.display.handle(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self.display.close()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """In place of Snakemake's own output, which still goes to its log."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's log is Snakemake's own."""
        return False

    @property
    def has_filter(self) -> bool:
        """The display itself chooses, by the same settings."""
        return True

    @property
    def has_formatter(self) -> bool:
        """The display itself finds the words."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It does not."""
        return False
