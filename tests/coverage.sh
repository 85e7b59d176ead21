#!/usr/bin/env bash
# Lines and branches of actors/transitions and actors/expression that the tests of actors, runtime and storage and 100 seeds of the simulation reach. In plain
# text: a line a file, then the lines that decide something one way only, by file and line.
#
# Counted are decisions: the branches of lines with if, for, while, switch, case, ?, && or ||. gcov also counts, and this does not: what only an exception takes, and
# the other way of the same call; on other lines, destructors that ask whether a temporary lives; and the way in which a planted fault (is_planted,
# false at compile time everywhere but in planted_tests) would go. `--all-branches` counts the middle two as well, as gcov does.
set -euo pipefail
cd "$(dirname "$0")/.."
source runtime/install_packages.sh
install_packages "${caesura_packages[@]}" libboost-test-dev libboost-dev
cmake --preset coverage >/dev/null
cmake --build --preset coverage --target actors_tests runtime_tests storage_tests simulation_tests | tail -n 1
find .build/coverage -name '*.gcda' -delete
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
mkdir -p .build/coverage/report
for suite in storage actors runtime simulation; do
  said=.build/coverage/report/$suite.txt
  CAESURA_SIMULATION_SEEDS=100 .build/coverage/tests/"$suite"_tests --color_output=false >"$said" 2>&1 || { grep error "$said" >&2; exit 1; }
done
cd .build/coverage/report
find ../actors -name '*.gcda' \( -path '*transitions*' -o -path '*expression*' \) -exec gcov --branch-probabilities --branch-counts --json-format --stdout {} + >all.json
python3 - "$@" <<'PY'
import json, re, sys
files, counts_all = {}, "--all-branches" in sys.argv
decides = re.compile(r"\b(if|for|while|switch|case)\b|\?|&&|\|\|")
def counted(branches):
    kept = [(i, b["count"]) for i, b in enumerate(branches) if not b["throw"]]
    if counts_all: return kept
    calls = {i for i, b in enumerate(branches[:-1]) if not b["throw"] and branches[i + 1]["throw"]}
    return [(i, c) for i, c in kept if i not in calls]
for text in open("all.json"):
    if not text.startswith("{"): continue
    for f in json.loads(text)["files"]:
        name = f["file"][f["file"].find("actors/"):]
        if not (name.startswith("actors/transitions/") or name.startswith("actors/expression/")): continue
        lines = files.setdefault(name, {})
        for l in f["lines"]:
            seen = lines.setdefault(l["line_number"], [0, {}])
            seen[0] += l["count"]
            for i, c in counted(l["branches"]):
                seen[1][(l.get("function_name", ""), i)] = seen[1].get((l.get("function_name", ""), i), 0) + c
for name, lines in files.items():
    text = open("../../../" + name).read().split("\n")
    for n, (_, branches) in lines.items():
        source = text[n - 1].split("//")[0]
        if not counts_all and not decides.search(source): branches.clear()
        planted = 0 if counts_all else sum(3 if "&&" in m else 1 for m in re.findall(r"is_planted\([\w:]+\)(?: &&)?", source))
        for key in [k for k, c in branches.items() if not c][:planted]: del branches[key]
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
    missing += sorted({f"{name}:{n}" for n, _, c in branches if not c}, key=lambda s: (s.split(":")[0], int(s.split(":")[1])))
for group, (a, b, c, d) in total.items(): print(f"{'all of ' + group:45s} {share(a, b)}   {share(c, d)}")
print(f"lines with a branch that is not taken: {len(missing)}")
for at in missing: print("  " + at)
PY
