"""Names under which a route carries, in Litestar's `opt`, what the app was built with."""

from typing import Final

OPT_OPERATION: Final = "operation"
OPT_RULE: Final = "rule"
OPT_LIMITER: Final = "rate_limiter"
OPT_USE_CASES: Final = "use_cases"
OPT_SIGNER: Final = "signer"
OPT_PROBLEMS: Final = "problem_writer"
OPT_DOCUMENTED: Final = "documented_problems"
OPT_MODULE: Final = "module"
