#!/usr/bin/env python3
"""Times the peers of `kubernaut bench patterns` on the data that it hands over.

measure.py KIND FILE ROWS COLUMNS THREADS: FILE holds ROWS x COLUMNS doubles, row by row. Prints one JSON list of {"name", "seconds"} or
{"name", "why"}: the best of three runs, of one where a run takes longer than ten seconds.
"""
import importlib.metadata
import json
import os
import sys
import time
import warnings

kind, path, rows, columns, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = str(threads)

import numpy as np  # noqa: E402  (after the number of threads is said)

warnings.filterwarnings("ignore")
data = np.fromfile(path).reshape(rows, columns)


def k_means():
    from sklearn.cluster import KMeans
    KMeans(10, n_init=1, max_iter=20, tol=0, algorithm="lloyd", random_state=1).fit(data)


def scikit_forest():
    from sklearn.ensemble import IsolationForest
    IsolationForest(n_estimators=100, max_samples=256, n_jobs=threads, random_state=1).fit(data).score_samples(data)


def isotree_forest():
    from isotree import IsolationForest
    IsolationForest(ntrees=100, sample_size=256, ndim=1, nthreads=threads, random_seed=1).fit(data).predict(data)


def dbscan():
    from sklearn.cluster import DBSCAN
    DBSCAN(0.9, min_samples=10, n_jobs=threads).fit(data)


def hdbscan():
    from hdbscan import HDBSCAN
    HDBSCAN(min_cluster_size=10, core_dist_n_jobs=threads).fit(data)


def choice_of_k():
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score
    for k in range(2, 11):
        silhouette_score(data, KMeans(k, n_init=4, random_state=1).fit_predict(data))


def stl():
    from statsmodels.tsa.seasonal import STL
    # The windows, rounds and jumps of ours, so that it does the same work.
    STL(data[:, 0], period=288, seasonal=11, seasonal_jump=1, low_pass_jump=28, trend_jump=50, robust=True).fit(inner_iter=2, outer_iter=2)


def ets():
    from statsforecast.models import AutoETS
    AutoETS(season_length=24).forecast(y=data[:, 0], h=48, level=[95])


def matrix_profile():
    import stumpy
    stumpy.stump(data[:, 0], 64)


PEERS = {
    "k_means": [("scikit-learn", k_means)],
    "forest": [("isotree", isotree_forest), ("scikit-learn", scikit_forest)],
    "dbscan": [("scikit-learn", dbscan)],
    "hdbscan": [("hdbscan", hdbscan)],
    "choice_of_k": [("scikit-learn", choice_of_k)],
    "stl": [("statsmodels", stl)],
    "forecast": [("statsforecast", ets)],
    "matrix_profile": [("stumpy", matrix_profile)],
}
COMPILED_WHEN_FIRST_USED = {"statsforecast", "stumpy"}

answers = []
for package, work in PEERS[kind]:
    try:
        name = package + " " + importlib.metadata.version(package)
        if package in COMPILED_WHEN_FIRST_USED:
            work()
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - began)
            if best > 10:
                break
        answers.append({"name": name, "seconds": best})
    except Exception as error:  # a peer that is missing or fails says so itself, and the others go on
        answers.append({"name": package, "why": f"{type(error).__name__}: {error}"})
print(json.dumps(answers))
