"""Every number that bounds a script, in one place, settable per tenant."""

from dataclasses import dataclass, fields

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Budgets of one script; the comment after a field is what its author reads."""

    source_bytes_max: int = 64 * 1024  # size of the script
    nodes_max: int = 10_000  # syntax nodes in the script
    depth_max: int = 100  # nesting of the script's syntax
    load_ms_max: int = 2_000  # vetting, module level and build() together
    batch_ms_max: int = 250  # one batch of bars, at most 512
    warm_up_ms_max: int = 10_000  # CPU that a new version may use on retained history
    memory_bytes_max: int = 128 * MIB  # what the script may allocate
    state_bytes_max: int = 64 * 1024  # saved state of one instrument, as JSON
    output_bytes_max: int = 256 * 1024  # signals, outputs and log of one batch
    signals_per_bar_max: int = 16  # signal() calls in one on_bar
    signals_per_minute_max: int = 120  # signals of one instrument in a minute of event time
    outputs_max: int = 32  # names in a returned dict
    log_lines_max: int = 50  # print() and log() lines kept of one batch
    graph_nodes_max: int = 2_000  # nodes that build() may return
    graph_cells_max: int = 16_384  # numbers of state for each instrument that a graph may need
    slots_max: int = 4_096  # instruments one script runs on
    strikes_max: int = 3  # strikes before quarantine

    def __post_init__(self) -> None:
        """Refuse a limit that is not a positive whole number, naming it."""
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise ValueError(
                    f"limit {field.name} must be a positive whole number, not {value!r}"
                )
