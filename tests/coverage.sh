#!/usr/bin/env bash
# Lines and branches of actors/transitions and actors/expression that the tests of actors, runtime and storage and 100 seeds of the simulation reach. In plain
# text: a line a file, then the branches of transitions that none of them takes, by file and line. Branches that only an exception takes are not counted.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}" libboost-test-dev libboost-dev
cmake --preset coverage >/dev/null
cmake --build --preset coverage --target actors_tests runtime_tests storage_tests simulation_tests | tail -n 1
find .build/coverage -name '*.gcda' -delete
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
for suite in storage actors runtime; do .build/coverage/tests/"$suite"_tests >/dev/null 2>&1; done
CAESURA_SIMULATION_SEEDS=100 .build/coverage/tests/simulation_tests >/dev/null 2>&1
mkdir -p .build/coverage/report
cd .build/coverage/report
find ../actors -name '*.gcda' \( -path '*transitions*' -o -path '*expression*' \) -exec gcov --branch-probabilities --branch-counts --json-format --stdout {} + >all.json
python3 - <<'PY'
import json
files, taken = {}, {}
for text in open("all.json"):
    if not text.startswith("{"): continue
    for f in json.loads(text)["files"]:
        name = f["file"][f["file"].find("actors/"):]
        if not (name.startswith("actors/transitions/") or name.startswith("actors/expression/")): continue
        lines = files.setdefault(name, {})
        for l in f["lines"]:
            seen = lines.setdefault(l["line_number"], [0, {}])
            seen[0] += l["count"]
            for i, b in enumerate(l["branches"]):
                if not b["throw"]: seen[1][(l.get("function_name", ""), i)] = seen[1].get((l.get("function_name", ""), i), 0) + b["count"]
def share(part, whole): return f"{part:5d} of {whole:5d} {100 * part / whole if whole else 100:6.1f} %"
total = {}
print(f"{'file':45s} {'lines':>24s} {'branches':>26s}")
missing = []
for name in sorted(files):
    lines = files[name]
    hit = sum(1 for c, _ in lines.values() if c)
    branches = [(n, k, c) for n, (_, bs) in lines.items() for k, c in bs.items()]
    took = sum(1 for _, _, c in branches if c)
    print(f"{name:45s} {share(hit, len(lines))}   {share(took, len(branches))}")
    t = total.setdefault(name.split("/")[1], [0, 0, 0, 0])
    for i, v in enumerate((hit, len(lines), took, len(branches))): t[i] += v
    if "transitions" in name: missing += sorted({f"{name}:{n}" for n, _, c in branches if not c}, key=lambda s: (s.split(":")[0], int(s.split(":")[1])))
for group, (a, b, c, d) in total.items(): print(f"{'all of ' + group:45s} {share(a, b)}   {share(c, d)}")
print(f"lines of transitions with a branch that is not taken: {len(missing)}")
for at in missing: print("  " + at)
PY
