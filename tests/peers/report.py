"""The table: one row a comparison, printed when it is known."""

import contextlib


class Report:
    """Collects rows; a row fails when more is measured than allowed, or when nothing could be measured."""

    def __init__(self):
        self.rows = 0
        self.failed = 0
        print(f"{'check':<12} {'of':<34} {'what':<34} {'measured':>9} {'allowed':>9}", flush=True)

    def add(self, check, subject, what, measured, allowed):
        """`measured` is a difference; both are shares of what the check names."""
        wrong = not measured <= allowed
        self._line(check, subject, f"{what:<34} {measured:9.1e} {allowed:9.1e}", wrong)

    def same(self, check, subject, what, equal):
        """Something that is equal or not."""
        self._line(check, subject, f"{what:<34} {'same' if equal else 'differs':>9} {'same':>9}", not equal)

    @contextlib.contextmanager
    def guarded(self, check, subject):
        """A comparison that cannot be made is a failed row, and the others are made all the same."""
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split())[:300] or "no reason given"
            self._line(check, subject, f"{type(error).__name__}: {reason}", True)

    def _line(self, check, subject, rest, wrong):
        self.rows += 1
        self.failed += wrong
        print(f"{check:<12} {subject:<34} {rest}{'  WRONG' if wrong else ''}", flush=True)
