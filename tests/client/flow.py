"""What a program does with the client, in the words of Python 3.9: `python flow.py URL KEY FOLDER`.

It stands alone: an old interpreter has httpx, numpy and `reucid_client`, and nothing of the tests.
"""

import asyncio
import importlib
import pkgutil
import sys
import zipfile
from pathlib import Path

import numpy as np

import reucid_client
from reucid_client import AsyncClient, Client, ProblemError, denoise_files

NAME = "python {}.{}".format(*sys.version_info[:2])
PARAMS = {"patch_size": 5, "method": "paper"}


def noisy(seed):
    """An image of counts."""
    return np.random.default_rng(seed).poisson(9, (32, 40)).astype(np.uint16)


def refused(client, image):
    """The code of a refusal."""
    try:
        return client.submit(image, patchsize=7).id
    except ProblemError as error:
        return error.code


def waiting(url, key, folder):
    """All that the client that waits can do."""
    with Client(url, key) as client:
        image = noisy(1)
        result = client.denoise(image, progress=True, labels={"a": "1"}, **PARAMS)
        np.testing.assert_allclose(result.image + result.residual, image, rtol=1e-5)
        assert result.verdict
        assert result.save(folder / "result.tif").stat().st_size > image.nbytes
        assert [event.type for event in client.events(result.job.id)][-1] == "succeeded"
        assert client.describe(result.job.id, labels={"a": None}).data["labels"] == {}
        assert refused(client, image) == "invalid_request"

        for seed in (2, 3):
            np.save(folder / "{}.npy".format(seed), noisy(seed))
        sources = sorted(folder.glob("*.npy"))
        done = list(denoise_files(client, sources, folder / "out", **PARAMS))
        assert [each.error for each in done] == [None, None]

        with zipfile.ZipFile(folder / "series.zip", "w") as packed:
            for path in sources:
                packed.write(path, path.name)
        batch = client.submit_batch(folder / "series.zip", batch=NAME, **PARAMS)
        assert client.wait_batch(batch["name"])["counts"]["succeeded"] == 2
        assert len(list(client.jobs(batch=NAME))) == 2


async def awaiting(url, key):
    """The same way with `await`."""
    async with AsyncClient(url, key) as client:
        image = noisy(4)
        result = await client.denoise(image, **PARAMS)
        np.testing.assert_allclose(result.image + result.residual, image, rtol=1e-5)
        assert [event.type async for event in client.events(result.job.id)][-1] == "succeeded"


def main():
    """Import every module, then do it all."""
    for module in pkgutil.iter_modules(reucid_client.__path__):
        importlib.import_module("reucid_client." + module.name)
    url, key, folder = sys.argv[1:]
    waiting(url, key, Path(folder))
    asyncio.run(awaiting(url, key))
    sys.stdout.write(NAME + "\n")


main()
