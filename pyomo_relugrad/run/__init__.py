"""One run: its clock and counters, its options, what it keeps, reports and returns, and its log."""

from pyomo_relugrad.run.budget import Budget, Clock, Stop
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.run.cores import usable_cores
from pyomo_relugrad.run.driver import INFINITE, Driver, Report, Worker
from pyomo_relugrad.run.log import SearchLog
from pyomo_relugrad.run.method import Method, between, check_settings
from pyomo_relugrad.run.options import Options, meanings
from pyomo_relugrad.run.parcel import Parcel, packed
from pyomo_relugrad.run.past import Past
from pyomo_relugrad.run.processes import worker_processes
from pyomo_relugrad.run.prover import Prover, run_proof
from pyomo_relugrad.run.record import Record
from pyomo_relugrad.run.result import Callback, Progress, Route, SearchResult, gap_in_words, value_in_words

__all__ = [
    "Budget",
    "Callback",
    "Clock",
    "Driver",
    "Method",
    "Options",
    "Progress",
    "Prover",
    "Report",
    "Route",
    "SearchContext",
    "SearchResult",
    "Stop",
    "Worker",
    "between",
    "check_settings",
    "meanings",
    "run_proof",
]
