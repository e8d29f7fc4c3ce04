#!/usr/bin/env bash
# The main job on a small sample repository with a real bug: real loop, sandbox, git, verification and journal.
# The model's answers are a recording, unless MODEL names a profile whose key is in the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
coder=$PWD/.venv/bin/coder
work=$(mktemp -d "${TMPDIR:-/tmp}/coder-demo.XXXXXX")

cp -r demo/repository "$work/bills"
git -C "$work/bills" init -q -b main
git -C "$work/bills" add -A
git -C "$work/bills" -c user.name=demo -c user.email=demo@example.invalid commit -q -m "Split bills between friends"

if [ -n "${MODEL:-}" ]; then
    answers=(--model "$MODEL")
else
    answers=(--recorded "$PWD/demo/answers.json")
    echo "demo: the model's answers are RECORDED (demo/answers.json, written by hand for this demo); all else is real."
    echo "demo: with MODEL=<profile> and its key in the environment the live model works; 'coder models' lists the profiles."
fi

code=0
"$coder" run --repo "$work/bills" --issue-file demo/issue.md --dry-run "$work/pull-request" "${answers[@]}" || code=$?
if [ -f "$work/pull-request/body.md" ]; then
    echo
    echo "=== the pull request: $(cat "$work/pull-request/title.txt")"
    cat "$work/pull-request/body.md"
    echo "=== files: $work/pull-request"
fi
case $code in
    0) echo "=== verdict: proven" ;;
    *) echo "=== not proven: coder run ended with code $code (README.md has the list)" ;;
esac
[ -z "$(git -C "$work/bills" status --porcelain)" ] || { echo "demo: the working files were touched" >&2; exit 1; }
exit "$code"
