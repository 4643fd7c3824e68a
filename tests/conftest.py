"""One small prepared toy world for all tests; JAX on eight CPU devices; what one test compiles, others need not."""

import atexit
import os
import shutil
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
if "PYTEST_XDIST_WORKER" not in os.environ:  # these inherit it, and so do processes that tests start
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import pathlib

import hypothesis
import jax
import pytest

from linkjax.config import load_config
from linkjax.data.pipeline import StreamSettings
from linkjax.data.prepared import Prepared
from linkjax.substitution import LinkSettings

jax.config.update("jax_numpy_rank_promotion", "raise")
hypothesis.settings.register_profile("linkjax", deadline=None)  # the first example pays for imports and tables
hypothesis.settings.load_profile("linkjax")

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory) -> pathlib.Path:
    """The default toy world, prepared."""
    from linkjax.prepare import prepare

    folder = tmp_path_factory.mktemp("prepared") / "toy"
    prepare(load_config(str(ROOT / "configs/base.py")), folder)
    return folder


@pytest.fixture(scope="session")
def toy(toy_folder) -> Prepared:
    return Prepared(toy_folder)


@pytest.fixture
def stream_settings() -> StreamSettings:
    return StreamSettings(
        batch_size=16, sequence_length=64, virtual_shards=8, data_seed=0, link=LinkSettings(), steps=100
    )


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """Folder of real text and dictionaries, where the environment names one."""
    folder = os.environ.get("LINKJAX_REAL_DATA")
    if not folder:
        pytest.skip("LINKJAX_REAL_DATA is not set")
    return pathlib.Path(folder)
