"""Who works: threads of this process, each with a process for its job, or the workers of a Dask cluster.

Both are executors of Python's own concurrent.futures, so nothing here schedules anything. A cluster's workers need this project
and the study's folder at the same path.
"""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

from ntm.errors import UserError
from ntm.sweep import cores

LOCAL = "local"


@contextmanager
def engine(on: str) -> Iterator[Executor]:
    """The executor that `on` names: local, or a Dask scheduler's address, as tcp://host:8786; raises UserError."""
    if on == LOCAL:
        executor = ThreadPoolExecutor(cores())
        try:
            yield executor
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
        return
    try:
        from distributed import Client  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        told = "needs Dask, pip install 'ntm-machines[cluster]'"
        raise UserError(f"on={on}: {told}; allowed: {LOCAL}, or a Dask scheduler's address as tcp://host:8786") from None
    try:
        client = Client(on, timeout="10s")
    except (OSError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise UserError(
            f"on={on}: no Dask scheduler there ({why}); allowed: {LOCAL}, or one's address as tcp://host:8786"
        ) from None
    with client:
        yield client.get_executor(pure=False)
