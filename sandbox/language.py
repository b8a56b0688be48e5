"""The imperative language at run time, inside the jail: bars in, results out."""

import builtins
import types
from collections.abc import Sequence
from typing import Any, Final

from sandbox.capsule import freeze, thaw
from sandbox.errors import BadCapsule, BadScript
from sandbox.facades import SeededRandom, facades
from sandbox.gathered import Gathered, error_text, plain, script_line
from sandbox.guards import guards, script_builtins
from sandbox.instrument import Bar, Instrument, module_data, own_classes
from sandbox.limits import Limits
from sandbox.wire import ERRORS_MAX, FIELDS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX

NAN: Final = float("nan")
INFINITY: Final = float("inf")
SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
STATE_CHECK_BARS: Final = 256  # state is measured at each multiple of this
STATE_CHECKS_EARLY: Final = (1, 16)  # and at these bars
INTEGER_BITS_MAX: Final = 63  # of a signal's field: what every reader of JSON can hold
Prices = tuple[float, float, float, float, float]  # open high low close volume
VALUE: Final = "value"  # the output of a returned number


class Program:
    """A loaded script: compiled once, one Instrument for each slot."""

    def __init__(
        self, code: types.CodeType, *, params: dict[str, Any], limits: Limits, vetted: bool
    ) -> None:
        self.code, self.params, self.limits, self.vetted = code, params, limits, vetted
        self.instruments: dict[int, Instrument] = {}
        self.seeded = SeededRandom(self._moment)
        self.ts: Sequence[int] = ()
        self.facades = facades(self.seeded)
        self.baseline: dict[str, bytes] | None = None
        self.results = Gathered()
        self.row = 0
        self.signalled = 0
        self.minute = 0
        self.current: Instrument | None = None

    # --- names

    def namespace(self) -> dict[str, Any]:
        """Fresh globals of the script with its module level run."""
        own: set[type] = set()
        names: dict[str, Any] = {
            "__builtins__": script_builtins(own) if self.vetted else builtins,
            "__name__": "script",
            "params": types.MappingProxyType(self.params),
            "nan": NAN,
            "signal": self._signal,
            "log": self._log,
        }
        if self.vetted:
            names["_facade_"] = self.facades.__getitem__
            names["_getattr_"], names["_write_"] = guards(own)
        names["print"] = self._log
        given = set(names)
        exec(self.code, names)  # noqa: S102  # what a jail is for
        names["_given_"] = given
        return names

    def _signal(self, name: str, value: float = 1.0, **fields: Any) -> None:
        """Publish a signal for this bar."""
        instrument = self.current
        if instrument is None:
            raise RuntimeError("signal() can be called only from on_bar")
        if type(name) is not str or not 0 < len(name) <= NAME_CHARS_MAX:
            raise ValueError(f"signal() needs a name of 1 to {NAME_CHARS_MAX} characters")
        if len(fields) > FIELDS_MAX:
            raise ValueError(f"signal() takes at most {FIELDS_MAX} fields")
        for key, item in fields.items():
            _check_field(key, item)
        self.signalled += 1
        if self.signalled > self.limits.signals_per_bar_max:
            self.results.limits.add("signals_per_bar_max")
            raise RuntimeError(
                f"more than {self.limits.signals_per_bar_max} signals in one bar"
                " (limit signals_per_bar_max)"
            )
        said = {
            plain(key): plain(item) if type(item) is str else item for key, item in fields.items()
        }
        number = _number(value)
        self._publish(instrument, plain(name), None if number != number else number, said)

    def _publish(
        self, instrument: Instrument, name: str, value: float | None, fields: dict[str, Any]
    ) -> None:
        """Add a signal unless the instrument has said too much in this minute of event time."""
        if instrument.minute != self.minute:
            instrument.minute, instrument.said = self.minute, 0
        instrument.said += 1
        if instrument.said > self.limits.signals_per_minute_max:
            self.results.signals_cut += 1
            self.results.limits.add("signals_per_minute_max")
            return
        self.results.signals.append([self.row, name, value, fields])

    def _log(self, *items: Any, sep: str = " ", end: str = "\n") -> None:
        """Keep a line for the author; lines beyond the limit are counted."""
        if len(self.results.log) >= self.limits.log_lines_max:
            self.results.log_dropped += 1
            return
        del end  # a line is a line
        text = str(sep).join([str(item)[:TEXT_CHARS_MAX] for item in items[:FIELDS_MAX]])
        self.results.log.append([self.row, plain(text[:TEXT_CHARS_MAX])])

    def _moment(self) -> str:
        """Names the instrument and bar at work: the seed of its random numbers."""
        instrument = self.current
        return "" if instrument is None else f"{instrument.symbol}@{self.ts[self.row]}"

    # --- instruments

    def open(self, slot: int, symbol: str, capsule: str | None = None) -> Instrument:
        """Start an instrument, from `init()` or from where a capsule left it."""
        if slot not in self.instruments and len(self.instruments) >= self.limits.slots_max:
            raise BadScript(f"more than {self.limits.slots_max} instruments (limit slots_max)")
        self.seeded.seeded = False
        instrument = Instrument(self.namespace(), symbol)
        if self.baseline is None:
            self.baseline = module_data(instrument.namespace, {})
        if capsule is None:
            init = instrument.namespace.get("init")
            instrument.state = {} if init is None else init()
        else:
            self._restore(instrument, capsule)
        self.instruments[slot] = instrument
        return instrument

    def save(self, slot: int) -> str:
        """The instrument's capsule; raises BadCapsule where state cannot be saved."""
        instrument = self.instruments[slot]
        classes = own_classes(instrument.namespace)
        changed = module_data(instrument.namespace, self.baseline or {})
        module = {name: instrument.namespace[name] for name in changed}
        content = {
            "version": 1,
            "bars": instrument.bars,
            "last": instrument.last,
            "said": [instrument.minute, instrument.said],
            "module": module,
            "state": instrument.state,
        }
        blob = freeze(content, classes)
        if len(blob) > self.limits.state_bytes_max:
            self.results.limits.add("state_bytes_max")
            raise BadCapsule(
                f"state takes {len(blob)} bytes (limit state_bytes_max is"
                f" {self.limits.state_bytes_max})"
            )
        return blob.decode()

    def _restore(self, instrument: Instrument, capsule: str) -> None:
        content = thaw(capsule.encode(), own_classes(instrument.namespace))
        match content:
            case {
                "version": 1, "bars": int(bars), "last": dict(last), "module": dict(module),
                "said": [int(minute), int(said)], "state": state,
            }:  # fmt: skip
                instrument.bars, instrument.last = bars, last
                instrument.minute, instrument.said = minute, said
                instrument.namespace.update(module)
                instrument.state = state
            case _:
                raise BadCapsule("saved state is of another version or damaged")

    # --- bars

    def run(
        self, slots: Sequence[int], ts: Sequence[int], bars: Sequence[Prices],
        values: Sequence[dict[str, float]] | None,
    ) -> Gathered:  # fmt: skip
        """One batch, row after row; an error costs its row, never the batch."""
        self.results = results = Gathered()
        self.ts, seeded, numbers = ts, self.seeded, results.numbers
        for row, slot in enumerate(slots):
            self.row, self.signalled = row, 0
            try:
                self.current = instrument = self.instruments[slot]
                self.minute = ts[row] // MINUTE_NS
                seeded.seeded = False
                first, high, low, close, volume = bars[row]
                bar = Bar(
                    ts[row] / SECOND_NS, first, high, low, close, volume,
                    {} if values is None else values[row], instrument.symbol,
                )  # fmt: skip
                answer = instrument.on_bar(bar, instrument.state)
                kind = type(answer)
                if kind is int or kind is float or kind is bool:
                    number = float(answer)
                    if number - number != 0.0 and number == number:
                        raise ValueError("on_bar returned infinity")
                    if number == number and number != instrument.last.get(VALUE, 0.0):
                        instrument.last[VALUE] = number
                        if answer is not False:  # a condition speaks when it comes true
                            self._publish(instrument, VALUE, number, {})
                elif answer is None:
                    number = NAN
                else:
                    number = self._answered(instrument, answer, row)
                numbers.append(number)
                instrument.bars = count = instrument.bars + 1
                if count % STATE_CHECK_BARS == 0 or count in STATE_CHECKS_EARLY:
                    self.save(slot)
            except BaseException as error:  # noqa: BLE001  # whatever a stranger may raise
                if len(numbers) == row:
                    numbers.append(NAN)
                self._failed(row, error)
        self.current = None
        return results

    def _answered(self, instrument: Instrument, answer: Any, row: int) -> float:
        """The rarer answers: numpy numbers and a dict of outputs."""
        if not isinstance(answer, dict):
            number = _number(answer)
            self._changed(instrument, VALUE, number)
            return number
        if len(answer) > self.limits.outputs_max:
            self.results.limits.add("outputs_max")
            raise ValueError(f"on_bar returned {len(answer)} outputs (limit outputs_max)")
        outputs = {}
        for name, value in answer.items():
            if type(name) is not str or not 0 < len(name) <= NAME_CHARS_MAX:
                raise ValueError(f"an output's name must be text of 1 to {NAME_CHARS_MAX}")
            outputs[plain(name)] = None if value is None else _number(value)
        for name, output in outputs.items():
            if output is not None:
                self._changed(instrument, name, output, quiet=answer.get(name) is False)
        self.results.outputs.append([row, outputs])
        return NAN

    def _changed(
        self, instrument: Instrument, name: str, number: float, *, quiet: bool = False
    ) -> None:
        if number == number and number != instrument.last.get(name, 0.0):
            instrument.last[name] = number
            if not quiet:
                self._publish(instrument, name, number, {})

    def _failed(self, row: int, error: BaseException) -> None:
        self.results.errors_total += 1
        if isinstance(error, MemoryError):
            self.results.limits.add("memory_bytes_max")
        if len(self.results.errors) < ERRORS_MAX:
            self.results.errors.append([row, script_line(error), error_text(error)])


def _check_field(name: str, value: Any) -> None:
    """A ValueError says what of a signal's field could not be sent."""
    if not 0 < len(name) <= NAME_CHARS_MAX:
        raise ValueError(f"signal() field names have 1 to {NAME_CHARS_MAX} characters")
    if value is not None and type(value) not in (str, int, float, bool):
        raise ValueError(f"signal() field {name} must be a number, text, bool or None")
    if type(value) is int and value.bit_length() > INTEGER_BITS_MAX:
        raise ValueError(f"signal() field {name} has more than {INTEGER_BITS_MAX} bits")


def _number(value: Any) -> float:
    """The value as a finite float or NaN; a ValueError says what to return instead."""
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        value = value.item()
    if type(value) not in (int, float, bool):
        raise ValueError(
            f"got {type(value).__name__[:40]}: return a number, a dict of numbers, signal(...)"
            " or None"
        )
    number = float(value)
    if number in (INFINITY, -INFINITY):
        raise ValueError("got infinity: return a finite number or None")
    return number
