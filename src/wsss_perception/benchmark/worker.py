"""A process that measures one contender: ``python -m wsss_perception.benchmark.worker JOB ROW``.

JOB is a JSON file to read, ROW one to write. What fails is told in the row.
"""

import json
import sys
from pathlib import Path

from wsss_perception.benchmark.measure import Job, Row, measure
from wsss_perception.engines.options import Options
from wsss_perception.errors import WsssError


def main(job_file: Path, row_file: Path) -> None:
    """Measures the job of a file and writes its row."""
    job = Job.from_dict(json.loads(job_file.read_text()))
    row = Row.of(job)
    try:
        measure(job, Options(job.device, job.precision, job.threads, _tell), row)
    except WsssError as error:
        row.error = str(error)
    except Exception as error:  # of a library, such as torch for want of memory
        row.error = f"{type(error).__name__}: {error}"
    row_file.write_text(json.dumps(row.to_dict()))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit(130)
